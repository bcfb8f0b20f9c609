"""contact.events: check, drop repeats, forward with the flows that start."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import ContactEvent, event_key
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
        )
        for match in index.started_by(TriggerEvent(event.workspaceid, event.type, _data(event)))
    ]
    return observe_commands(key, event, starts)


def _data(event: ContactEvent) -> Mapping[str, Any]:
    data = getattr(event, "data", None)
    return {} if data is None else vars(data)
