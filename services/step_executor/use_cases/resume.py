"""What moves a membership on: a timer that fired, a delivery or a page that is over."""

from uuid import UUID

from prometheus_client import Counter

from libs.contracts.step_commands import FinishPage, Resume
from libs.domain.membership import WaitingOn
from libs.domain.walk_events import (
    NO_ANSWER,
    TIMER_FIRED,
    DeliveryFinished,
    PageFinished,
    WalkEvent,
)
from services.step_executor.store.deliveries import Finished
from services.step_executor.use_cases.unit_of_work import UnitOfWork

STALE = Counter(
    "millrace_stale_commands_total",
    "Wake-ups for a hop the membership has moved on from. Normal after a removal.",
    ["type"],
)


def resume(unit: UnitOfWork, partition: int, command: Resume) -> None:
    """A timer fired. It is a hint: what the membership itself says of when it is due decides.

    Raises:
        NotYet: If the definition of its flow has not arrived here.
    """
    expected = (command.membership_id, command.hop)
    membership = unit.memberships.get(command.membership_id)
    due_at = membership.waiting_until if membership else None
    if due_at is not None and command.due_at < due_at:
        STALE.labels("too_early").inc()
        return
    overdue = membership is not None and membership.waiting_on == "answer"
    event = NO_ANSWER if overdue else TIMER_FIRED
    _wake(unit, partition, expected, (("timer", "event", "answer"), event))


def finish_page(unit: UnitOfWork, partition: int, command: FinishPage) -> None:
    """A page is made, or will not be. In a pause the answer takes the place of one that was late.

    Raises:
        NotYet: If the definition of its flow has not arrived here.
    """
    event = PageFinished(
        outcome=command.outcome,
        page_id=str(command.page_id),
        url=command.url,
        warnings=tuple(command.warnings),
        reason=command.reason,
    )
    expected = (command.membership_id, command.hop)
    _wake(unit, partition, expected, (("answer", "reactivation"), event))


def finish_delivery(unit: UnitOfWork, finished: Finished) -> None:
    """A delivery is over.

    Raises:
        NotYet: If the definition of its flow has not arrived here.
    """
    event = DeliveryFinished(
        outcome=finished.outcome, channel=finished.channel, reason=finished.reason
    )
    _wake(unit, finished.partition, finished.key, (("delivery",), event))


def _wake(
    unit: UnitOfWork,
    partition: int,
    expected: tuple[UUID, int],
    why: tuple[tuple[WaitingOn, ...], WalkEvent],
) -> None:
    membership_id, hop = expected
    waiting_on, event = why
    membership = unit.memberships.get(membership_id)
    if membership is None or not membership.expects(hop, *waiting_on):
        STALE.labels(event.type).inc()
        return
    flow = unit.flow(membership.flow_id)
    unit.apply(partition, unit.walk(flow, membership, event))
