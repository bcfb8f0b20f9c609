"""What moves a membership on: a timer that fired, a delivery that is over."""

from uuid import UUID

from prometheus_client import Counter

from libs.chassis.exactly_once.records import Received
from libs.contracts import delivery_commands
from libs.contracts.message import derived_id
from libs.contracts.step_commands import FinishDelivery, Resume, RetryDelivery
from libs.domain.membership import WaitingOn
from libs.domain.step_result import DeliveryFinished, TimerFired, WalkEvent
from libs.domain.walk import walk
from services.step_executor.use_cases.unit_of_work import UnitOfWork

STALE = Counter(
    "millrace_stale_commands_total",
    "Commands for a hop the membership has moved on from. Normal after a removal.",
    ["type"],
)


def resume(unit: UnitOfWork, received: Received[Resume]) -> None:
    """A timer fired."""
    command = received.message
    _move(unit, received, (command.membership_id, command.hop, "timer"), TimerFired())


def finish_delivery(unit: UnitOfWork, received: Received[FinishDelivery]) -> None:
    """A delivery is over."""
    command = received.message
    finished = DeliveryFinished(outcome=command.outcome, reason=command.reason)
    _move(unit, received, (command.membership_id, command.hop, "delivery"), finished)


def retry_delivery(unit: UnitOfWork, received: Received[RetryDelivery]) -> None:
    """The time to try a delivery again has come: pass it on to those who make deliveries."""
    command = received.message
    retry = delivery_commands.Retry(
        id=derived_id("retry", command.id),
        time=unit.now,
        workspace_id=command.workspace_id,
        contact_id=command.contact_id,
        membership_id=command.membership_id,
        hop=command.hop,
    )
    unit.enqueue(received, retry)


def _move(
    unit: UnitOfWork,
    received: Received[Resume] | Received[FinishDelivery],
    expected: tuple[UUID, int, WaitingOn],
    event: WalkEvent,
) -> None:
    membership_id, hop, waiting_on = expected
    member = unit.members.get(membership_id)
    if member is None or not member.expects(hop, waiting_on):
        STALE.labels(received.message.type).inc()
        return
    flow = unit.flow(member.flow_id, 1)
    snapshot = unit.facts_of(member.contact_key)
    unit.apply(received, walk(flow, member, snapshot, event, unit.now))
