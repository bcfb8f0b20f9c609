"""Claiming webhooks fairly: neither one workspace's million nor a host that is down delays others.

Each workspace's webhooks wait in lanes, one for each target. A look at the queue costs the same
however many wait: some workspaces, some lanes of each, from where the last look ended.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from libs.chassis.postgres.pool import Pool, transaction
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import Job, Lane
from services.step_executor.use_cases.workspaces_in_turn import WorkspacesInTurn

WAITED_LONG_SECONDS = 3600.0
"""So long a webhook may wait for a target that is down, as it would have been tried by itself."""
_WORKSPACES_AT_ONCE = 16
_LANES_AT_ONCE = 16
_LOOKS_AT_ONCE = 4
_REMEMBERED = 10_000
_GIVEN_UP_AT_ONCE = 200
_GIVE_UP_SECONDS = 5.0


class Room(Protocol):
    """How many webhooks may be begun in which lanes."""

    def shares(self, lanes: Sequence[Lane], at_most: int) -> Mapping[Lane, int]:
        """Share out what may be begun now; lanes with nothing are left out."""

    def is_down(self, lane: Lane) -> bool:
        """Say whether nothing in it can be delivered at the moment."""


class ClaimWebhooks:
    """Claims for one sender."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turns = WorkspacesInTurn(pool, "webhook")
        self._last_lane: dict[UUID, str] = {}
        self._give_up_at: defaultdict[Lane, float] = defaultdict(float)

    async def claim(self, token: UUID, at_most: int, room: Room) -> list[Job]:
        """Claim what is due under a lease, where there is room for it."""
        seen: set[Lane] = set()
        for _ in range(_LOOKS_AT_ONCE):
            lanes = await self._next_lanes()
            if not lanes or seen & set(lanes):
                return []  # nothing waits, or the turn has come round
            seen.update(lanes)
            await self._give_up([one for one in lanes if room.is_down(one)])
            if shares := room.shares(lanes, at_most):
                return await self._claim(token, shares)
        return []

    async def _claim(self, token: UUID, shares: Mapping[Lane, int]) -> list[Job]:
        async with transaction(self._pool) as tx:
            claimed = [
                one
                for share, lanes in _by_share(shares).items()
                for one in await deliveries.claim(tx, token, lanes, share, "webhook")
            ]
            known = await deliveries.circumstances(tx, claimed)
        return [Job(token, one, known[one.key]) for one in claimed]

    async def _next_lanes(self) -> list[Lane]:
        """Name some lanes of the workspaces whose turn it is, from where they were left."""
        workspaces = await self._turns.next(_WORKSPACES_AT_ONCE)
        if not workspaces:
            return []
        after = [Lane(one, self._last_lane.pop(one, "")) for one in workspaces]
        lanes = await deliveries.waiting_targets(self._pool, after, _LANES_AT_ONCE)
        begin_anew = {one.workspace_id for one in after if one.target}
        begin_anew -= {one.workspace_id for one in lanes}
        if begin_anew:
            first = [Lane(one) for one in begin_anew]
            lanes += await deliveries.waiting_targets(self._pool, first, _LANES_AT_ONCE)
        self._remember(lanes)
        return lanes

    def _remember(self, lanes: Sequence[Lane]) -> None:
        seen: defaultdict[UUID, list[str]] = defaultdict(list)
        for lane in lanes:
            seen[lane.workspace_id].append(lane.target)
        for workspace, targets in seen.items():
            if len(targets) == _LANES_AT_ONCE:
                self._last_lane[workspace] = targets[-1]
        while len(self._last_lane) > _REMEMBERED:
            del self._last_lane[next(iter(self._last_lane))]

    async def _give_up(self, down: Sequence[Lane]) -> None:
        """Fail what has waited too long for targets that are down, now and then."""
        now = time.monotonic()
        due = [one for one in down if self._give_up_at[one] <= now]
        if not due:
            return
        if len(self._give_up_at) > _REMEMBERED:
            self._give_up_at.clear()
        async with transaction(self._pool) as tx:
            failed = await deliveries.give_up(tx, due, WAITED_LONG_SECONDS, _GIVEN_UP_AT_ONCE)
        for lane in due:
            self._give_up_at[lane] = now if failed else now + _GIVE_UP_SECONDS


def _by_share(shares: Mapping[Lane, int]) -> Mapping[int, list[Lane]]:
    """Put lanes together that have the same share: each share is a statement."""
    together: defaultdict[int, list[Lane]] = defaultdict(list)
    for lane, share in shares.items():
        together[share].append(lane)
    return together
