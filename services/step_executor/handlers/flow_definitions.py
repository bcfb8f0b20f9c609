"""flow.definitions: keep flows and mails current; let every partition know of a changed flow."""

from collections.abc import Iterator, Sequence

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.command_replies import DefinitionApplied
from libs.contracts.flow_definitions import EmailDefined, FlowDefined, FlowDefinition
from libs.contracts.message import Message, derived_id
from libs.contracts.step_commands import ApplyFlow
from services.step_executor.store import definitions


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[FlowDefinition]], *, clock: Clock, partitions: int
) -> list[Outgoing]:
    """Take definitions in; tell every partition, and the sender where it waits for it."""
    emails = [one.message.email for one in batch if isinstance(one.message, EmailDefined)]
    await definitions.put_emails(tx, emails)
    flows = [(one, one.message) for one in batch if isinstance(one.message, FlowDefined)]
    changed = await definitions.put_flows(tx, [message.flow for _, message in flows])
    return [
        outgoing
        for received, message in flows
        if message.flow.flow_id in changed
        for outgoing in received.causes_all(_told(message, clock, partitions))
    ]


def _told(message: FlowDefined, clock: Clock, partitions: int) -> Iterator[Message]:
    if message.reply:
        yield DefinitionApplied(
            id=derived_id("taken", "step_executor", message.id),
            time=clock.now(),
            workspace_id=message.workspace_id,
            flow_id=message.flow.flow_id,
            version=message.flow.version,
            service="step_executor",
        )
    for partition in range(partitions):
        yield ApplyFlow(
            id=derived_id("apply", message.flow.flow_id, message.flow.version, partition),
            time=message.time,
            workspace_id=message.workspace_id,
            flow_id=message.flow.flow_id,
            version=message.flow.version,
            partition=partition,
        )
