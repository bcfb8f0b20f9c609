"""flow.definitions: keep the triggers of every flow current."""

from collections.abc import Sequence

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.flow_definitions import FlowDefined, FlowDefinition
from libs.domain.matching import FlowTriggers
from services.trigger_matcher.store import definitions


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[FlowDefinition]], *, clock: Clock
) -> list[Outgoing]:
    """Take definitions in; say so where the sender waits for it. Mails do not concern us."""
    flows = [(one, one.message) for one in batch if isinstance(one.message, FlowDefined)]
    await definitions.put(tx, [FlowTriggers.of(message.flow) for _, message in flows])
    return [
        received.causes(message.applied("trigger_matcher", clock.now()))
        for received, message in flows
        if message.reply
    ]
