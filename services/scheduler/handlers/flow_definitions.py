"""flow.definitions: keep the date triggers of every flow current."""

from collections.abc import Sequence

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.flow_definitions import FlowDefined, FlowDefinition
from services.scheduler.store import date_triggers
from services.scheduler.store.date_triggers import StoredTrigger
from services.scheduler.use_cases.follow_flow import changed_triggers


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[FlowDefinition]]
) -> list[Outgoing]:
    """Take changes in, definition by definition: a pause that is over by now was none.

    Nobody is told. Every partition compares the order of these changes with its own watermark, in
    the transaction in which that moves (libs/domain/date_schedule.py); and a trigger counts from
    the moment its flow was activated, not from when that was heard here.
    """
    defined = [one.message for one in batch if isinstance(one.message, FlowDefined)]
    known = await date_triggers.read(tx, {one.flow.flow_id for one in defined})
    changed: dict[tuple[object, str], StoredTrigger] = {}
    for one in defined:
        mine = known[one.flow.flow_id]
        for trigger in changed_triggers(mine, one.flow, one.time):
            mine[trigger.trigger_id] = trigger
            changed[trigger.flow_id, trigger.trigger_id] = trigger
    await date_triggers.put(tx, list(changed.values()))
    return []
