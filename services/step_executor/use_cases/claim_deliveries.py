"""Claiming deliveries fairly: nobody's million mails delay another's ten."""

import time
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction, transaction
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import Claimed, DeliveryKey, Job, Lane
from services.step_executor.use_cases.workspaces_in_turn import WorkspacesInTurn

_WORKSPACES_AT_ONCE = 16
_DUE_AT_ONCE = 1000
_DUE_SECONDS = 0.25


class ClaimDeliveries:
    """Claims mails for one sender, and looks after what all channels share."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turns = WorkspacesInTurn(pool, "email")
        self._look_for_due_at = 0.0

    async def claim(self, token: UUID, at_most: int) -> list[Job]:
        """Claim what is due under a lease; nothing if the lease was taken away."""
        await self.make_due()
        workspaces = await self._turns.next(min(at_most, _WORKSPACES_AT_ONCE))
        if not workspaces:
            return []
        async with transaction(self._pool) as tx:
            claimed = await _claim_shares(tx, token, workspaces, at_most)
            known = await deliveries.circumstances(tx, claimed)
        return [Job(token, one, known[one.key]) for one in claimed]

    async def give_back_others(self, token: UUID, known: Sequence[DeliveryKey]) -> int:
        """Give back what is claimed under a lease but for these: its claimer never heard of it."""
        async with transaction(self._pool) as tx:
            return await deliveries.give_back_others(tx, token, known)

    async def make_due(self) -> None:
        """Let what was to be tried again by now be claimed with the rest."""
        if time.monotonic() < self._look_for_due_at:
            return
        async with transaction(self._pool) as tx:
            made = await deliveries.make_due(tx, _DUE_AT_ONCE)
        if made < _DUE_AT_ONCE:
            self._look_for_due_at = time.monotonic() + _DUE_SECONDS


async def _claim_shares(
    tx: Transaction, token: UUID, workspaces: Sequence[UUID], at_most: int
) -> list[Claimed]:
    """Give each workspace its share; what some leave goes to those who have more."""
    share = at_most // len(workspaces)
    claimed = await deliveries.claim(tx, token, [Lane(one) for one in workspaces], share)
    left = at_most - len(claimed)
    taken = Counter(one.workspace_id for one in claimed)
    hungry = [Lane(workspace) for workspace, count in taken.items() if count == share]
    if left and len(hungry) < len(workspaces) and hungry:
        claimed += await deliveries.claim(tx, token, hungry[:left], max(1, left // len(hungry)))
    return claimed
