"""flow.definitions: keep flows and mails current; let every partition know of a changed flow."""

from collections.abc import Iterator, Sequence

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.flow_definitions import EmailDefined, FlowDefined, FlowDefinition
from libs.contracts.message import Message, derived_id
from libs.contracts.step_commands import ApplyFlow, RestateDates
from libs.domain.flow import FlowStatus
from services.step_executor.store import date_fields, definitions
from services.step_executor.store.definitions import StoredFlow
from services.step_executor.use_cases.apply_flow import concerns_members

Defined = tuple[Received[FlowDefinition], FlowDefined]


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[FlowDefinition]], *, clock: Clock, partitions: int
) -> list[Outgoing]:
    """Take definitions in; tell the sender, and every partition if it concerns who is inside."""
    emails = [one.message.email for one in batch if isinstance(one.message, EmailDefined)]
    await definitions.put_emails(tx, emails)
    defined = [(one, one.message) for one in batch if isinstance(one.message, FlowDefined)]
    replies = [
        one.causes(message.applied("step_executor", clock.now()))
        for one, message in defined
        if message.reply
    ]
    return replies + await _take_flows(tx, defined, partitions)


async def _take_flows(
    tx: Transaction, defined: Sequence[Defined], partitions: int
) -> list[Outgoing]:
    newest = {one[1].flow.flow_id: one for one in sorted(defined, key=_version)}
    known = await definitions.lock_flows(tx, newest)
    stored: list[StoredFlow] = []
    taken: list[Defined] = []
    outgoing: list[Outgoing] = []
    for received, message in newest.values():
        flow, before = message.flow, known.get(message.flow.flow_id)
        if before is not None and before.flow.version >= flow.version:
            continue
        taken.append((received, message))
        if before is None or concerns_members(before.flow, flow):
            stored.append(StoredFlow(flow, flow.version))
            outgoing += received.causes_all(_for_every_partition(message, partitions))
        else:
            stored.append(StoredFlow(flow, before.applied_version))
    await definitions.put_flows(tx, stored)
    return outgoing + await _begin_to_tell_dates(tx, taken, partitions)


async def _begin_to_tell_dates(
    tx: Transaction, taken: Sequence[Defined], partitions: int
) -> list[Outgoing]:
    """Note the fields that date triggers go by; have every partition restate what is new.

    A batch that did not see the note is over before its partition is given that command.
    """
    fields = {
        (message.workspace_id, trigger.field): (received, message)
        for received, message in taken
        if message.flow.status is FlowStatus.ACTIVE
        for trigger in message.flow.date_triggers.values()
        if trigger.field
    }
    new = await date_fields.add(tx, fields)
    return [
        one
        for named in new
        for one in fields[named][0].causes_all(_restated(fields[named][1], named[1], partitions))
    ]


def _restated(message: FlowDefined, field: str, partitions: int) -> Iterator[Message]:
    for partition in range(partitions):
        yield RestateDates(
            id=derived_id("restate", message.id, field, partition),
            time=message.time,
            workspace_id=message.workspace_id,
            field=field,
            partition=partition,
        )


def _version(defined: Defined) -> int:
    return defined[1].flow.version


def _for_every_partition(message: FlowDefined, partitions: int) -> Iterator[Message]:
    for partition in range(partitions):
        yield ApplyFlow(
            id=derived_id("apply", message.flow.flow_id, message.flow.version, partition),
            time=message.time,
            workspace_id=message.workspace_id,
            flow_id=message.flow.flow_id,
            version=message.flow.version,
            partition=partition,
        )
