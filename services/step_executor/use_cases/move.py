"""What moves a membership on: a timer that fired, a delivery that is over."""

from uuid import UUID

from prometheus_client import Counter

from libs.chassis.records import Received
from libs.contracts import delivery_commands
from libs.contracts.message import derived_id
from libs.contracts.step_commands import FinishDelivery, Resume, RetryDelivery
from libs.domain.membership import MovesBy
from libs.domain.situation import DeliveryFinished, Occurrence, TimerFired
from libs.domain.walk import walk
from services.step_executor.use_cases.workbench import Workbench

STALE = Counter(
    "millrace_stale_commands_total",
    "Commands for a hop the membership has moved on from. Normal after a removal.",
    ["type"],
)


def resume(bench: Workbench, received: Received[Resume]) -> None:
    """A timer fired."""
    command = received.message
    _move(bench, received, (command.membership_id, command.hop, "timer"), TimerFired())


def finish_delivery(bench: Workbench, received: Received[FinishDelivery]) -> None:
    """A delivery is over."""
    command = received.message
    finished = DeliveryFinished(outcome=command.outcome, reason=command.reason)
    _move(bench, received, (command.membership_id, command.hop, "delivery"), finished)


def retry_delivery(bench: Workbench, received: Received[RetryDelivery]) -> None:
    """The time to try a delivery again has come: pass it on to those who make deliveries."""
    command = received.message
    retry = delivery_commands.Retry(
        id=derived_id("retry", command.id),
        time=bench.now,
        workspace_id=command.workspace_id,
        contact_id=command.contact_id,
        membership_id=command.membership_id,
        hop=command.hop,
    )
    bench.say(received, retry)


def _move(
    bench: Workbench,
    received: Received[Resume] | Received[FinishDelivery],
    expected: tuple[UUID, int, MovesBy],
    occurrence: Occurrence,
) -> None:
    membership_id, hop, moves_by = expected
    member = bench.members.get(membership_id)
    if member is None or not member.expects(hop, moves_by):
        STALE.labels(received.message.type).inc()
        return
    flow = bench.flow(member.flow_id, 1)
    facts = bench.facts_of(member.contact_key)
    bench.apply(received, walk(flow, member, facts, occurrence, bench.now))
