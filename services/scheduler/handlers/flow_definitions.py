"""flow.definitions: keep the date triggers of every flow current."""

from collections.abc import Sequence

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.flow_definitions import FlowDefined, FlowDefinition
from libs.domain.date_schedule import TriggerKey
from libs.domain.occurrences import CAUGHT_UP
from services.scheduler.store import date_triggers
from services.scheduler.store.date_triggers import StoredTrigger
from services.scheduler.use_cases.follow_flow import changed_triggers

_KEPT_CLOSED = 2 * CAUGHT_UP


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[FlowDefinition]]
) -> list[Outgoing]:
    """Take changes in, definition by definition.

    Nobody is told. Every partition compares the order of these changes with its own watermark, in
    the transaction in which that moves (libs/domain/date_schedule.py); and a trigger counts from
    the moment its flow was activated, not from when that was heard here.
    """
    defined = [one.message for one in batch if isinstance(one.message, FlowDefined)]
    flow_ids = {one.flow.flow_id for one in defined}
    if not defined:
        return []
    kept = {one.key: one for one in await date_triggers.read(tx, flow_ids)}
    changed: dict[TriggerKey, StoredTrigger] = {}
    for one in defined:
        known = [trigger for trigger in kept.values() if trigger.flow_id == one.flow.flow_id]
        new = {trigger.key: trigger for trigger in changed_triggers(known, one.flow, one.time)}
        kept |= new
        changed |= new
    await date_triggers.put(tx, changed.values())
    await date_triggers.forget(tx, flow_ids, min(one.time for one in defined) - _KEPT_CLOSED)
    return []
