"""contact.events: check, drop repeats, forward, enroll."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import ContactEvent
from libs.contracts.message import Message, derived_id
from libs.contracts.step_commands import Enroll, Observe
from libs.domain.matching import Match, TriggerIndex
from libs.domain.triggers.trigger import TriggerEvent
from services.trigger_matcher.store import seen_events
from services.trigger_matcher.store.definitions import CurrentTriggers


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[ContactEvent]], *, current: CurrentTriggers
) -> list[Outgoing]:
    """Turn contact events into observe and enroll commands; the same event id counts once."""
    await current.refresh(tx)
    fresh = await seen_events.remember_new(tx, batch)
    return [
        outgoing
        for received in fresh
        for outgoing in received.causes_all(_commands(received.message, current.index))
    ]


def _commands(event: ContactEvent, index: TriggerIndex) -> Iterator[Message]:
    yield Observe(
        id=derived_id("observe", event.workspaceid, event.source, event.id),
        time=event.time,
        workspace_id=event.workspaceid,
        contact_id=event.subject,
        event=event,
    )
    for started in index.started_by(TriggerEvent(event.workspaceid, event.type, _data(event))):
        yield _enroll(event, started)


def _data(event: ContactEvent) -> Mapping[str, Any]:
    data = getattr(event, "data", None)
    return {} if data is None else vars(data)


def _enroll(event: ContactEvent, started: Match) -> Enroll:
    flow = started.flow
    return Enroll(
        id=derived_id("enroll", event.workspaceid, event.source, event.id, flow.flow_id),
        time=event.time,
        workspace_id=event.workspaceid,
        contact_id=event.subject,
        flow_id=flow.flow_id,
        min_flow_version=flow.version,
        source_id=f"{event.source}#{event.id}",
        entry_source=started.trigger_type,
    )
