"""contact.events: check, drop repeats, forward with the flows that start."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import ContactEvent, EmailEvent, event_key
from libs.contracts.step_commands import FlowStart, Observe
from libs.domain.matching import TriggerIndex
from libs.domain.trigger import TriggerEvent
from services.trigger_matcher.store.definitions import CurrentTriggers
from services.trigger_matcher.use_cases.observe_commands import observe_commands


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[ContactEvent]], *, current: CurrentTriggers
) -> list[Outgoing]:
    """Turn contact events into observe commands; the same event id counts once."""
    await current.refresh(tx)
    fresh = await seen_events.remember_new(tx, batch, event_key)
    return [
        received.causes(command)
        for key, received in fresh.items()
        for command in _told(key, received.message, current.index)
    ]


def _told(key: UUID, event: ContactEvent, index: TriggerIndex) -> Sequence[Observe]:
    starts = [
        FlowStart(
            flow_id=match.flow_id,
            min_flow_version=match.flow_version,
            trigger_type=match.trigger_type,
            trigger_id=match.trigger_id,
        )
        for seen in _as_triggers_see(event)
        for match in index.started_by(seen)
    ]
    return observe_commands(key, event, starts)


def _as_triggers_see(event: ContactEvent) -> Iterator[TriggerEvent]:
    """Give an event as it is, and as an update of the contact where a mail event is one too."""
    data = getattr(event, "data", None)
    seen = {} if data is None else vars(data)
    yield TriggerEvent(event.workspaceid, event.type, seen, event.time)
    if isinstance(event, EmailEvent) and (fields := event.change.fields):
        update = {"fields": fields}
        yield TriggerEvent(event.workspaceid, "contact.updated", update, event.time)
