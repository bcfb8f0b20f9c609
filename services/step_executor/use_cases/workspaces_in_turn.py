"""Workspaces take turns, in the order of their ids, round and round: one after another, all."""

from uuid import UUID

from libs.chassis.postgres.pool import Pool
from libs.domain.walk_events import Channel
from services.step_executor.store import deliveries

_BEFORE_ALL = UUID(int=0)


class WorkspacesInTurn:
    """The workspaces with deliveries of a channel, as one sender comes to them."""

    def __init__(self, pool: Pool, channel: Channel) -> None:
        self._pool = pool
        self._channel = channel
        self._after = _BEFORE_ALL

    async def next(self, at_most: int) -> list[UUID]:
        """Name those whose turn it is."""
        found = await self._waiting(self._after, at_most)
        if len(found) < at_most and self._after != _BEFORE_ALL:
            first = await self._waiting(_BEFORE_ALL, at_most)
            found += [one for one in first if one <= self._after][: at_most - len(found)]
        self._after = found[-1] if found else _BEFORE_ALL
        return found

    async def _waiting(self, after: UUID, at_most: int) -> list[UUID]:
        return await deliveries.waiting_workspaces(self._pool, after, at_most, self._channel)
