"""flow.definitions: keep the triggers of every flow current."""

from collections.abc import Sequence

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.command_replies import DefinitionApplied
from libs.contracts.flow_definitions import FlowDefined, FlowDefinition
from libs.contracts.message import derived_id
from services.trigger_matcher.store import definitions


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[FlowDefinition]], *, clock: Clock
) -> list[Outgoing]:
    """Take definitions in; say so where the sender waits for it. Mails do not concern us."""
    flows = [(one, one.message) for one in batch if isinstance(one.message, FlowDefined)]
    await definitions.put(tx, [message.flow for _, message in flows])
    return [received.causes(_taken(message, clock)) for received, message in flows if message.reply]


def _taken(message: FlowDefined, clock: Clock) -> DefinitionApplied:
    return DefinitionApplied(
        id=derived_id("taken", "trigger_matcher", message.id),
        time=clock.now(),
        workspace_id=message.workspace_id,
        flow_id=message.flow.flow_id,
        version=message.flow.version,
        service="trigger_matcher",
    )
