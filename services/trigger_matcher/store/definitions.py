"""The triggers of every flow, and the trigger index made of them."""

from collections.abc import Sequence

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.matching import FlowTriggers, TriggerIndex

queries = queries_beside(__file__)


async def put(tx: Transaction, flows: Sequence[FlowTriggers]) -> None:
    """Take definitions in; of several versions of one flow the last counts."""
    newest = {flow.flow_id: flow for flow in sorted(flows, key=lambda flow: flow.version)}
    if newest:
        await queries.put(
            tx,
            flow_ids=list(newest),
            versions=[flow.version for flow in newest.values()],
            definitions=[flow.model_dump(mode="json") for flow in newest.values()],
        )


class CurrentTriggers:
    """The trigger index of this process, kept in line with the table.

    Only the owner of the one partition of flow.definitions writes the table, so revisions come in
    the order of their commits, and nothing is missed by asking for what is newer.
    """

    def __init__(self) -> None:
        self.index = TriggerIndex()
        self._revision = 0

    async def refresh(self, tx: Transaction) -> None:
        """Take in what has changed since the last time."""
        async for row in queries.changed_since(tx, revision=self._revision):
            self.index.put(FlowTriggers.model_validate(row["definition"]))
            self._revision = row["revision"]
