"""Lists of a flow's members, by status and by time (services/api/native/README.md, "Memberships").

How a list is read depends on what is asked for, so that none costs more than it must:

- All of them, or those that entered in a time: by the order of entry, in which places are known.
- Live ones in a state: along the index of the live ones.
- Ended ones in a state, or that ended in a time: along an index of their ends.
- Anything else: the newest in the time of entry are looked through, up to a number.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction, snapshot
from services.api.store import counts, member_lists, memberships
from services.api.store.counts import Counts
from services.api.store.member_lists import ALWAYS, NEVER, Range, Window
from services.api.store.memberships import StoredMembership
from services.api.use_cases.problems import invalid

MOST = 10_000
"""Where members must be counted or looked through one by one, it ends here."""
_LIVE = ("active", "waiting")
_ENDED = ("completed", "failed", "exited_flow")
_BY_STATUS = {"dropped": ("failed", "exited_flow")}
_BY_RUN_STATUS = {"in_flow": _LIVE}
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class MemberQuery:
    """Which members are asked for; None asks for all."""

    status: str | None = None
    run_status: str | None = None
    entered_from: datetime | None = None
    entered_to: datetime | None = None
    exited_from: datetime | None = None
    exited_to: datetime | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """Name the states that are asked for, as they are counted; who is in has not exited."""
        wanted = set(_ENDED if self.exited_from or self.exited_to else _LIVE + _ENDED)
        if self.status:
            wanted &= set(_BY_STATUS.get(self.status, (self.status,)))
        if self.run_status:
            wanted &= set(_BY_RUN_STATUS.get(self.run_status, (self.run_status,)))
        return tuple(one for one in _LIVE + _ENDED if one in wanted)

    @property
    def range(self) -> Range:
        """Give the times that are asked for."""
        return Range(
            self.entered_from or ALWAYS,
            self.entered_to or NEVER,
            self.exited_from or ALWAYS,
            self.exited_to or NEVER,
        )

    @property
    def by_entry(self) -> bool:
        """Whether it asks for a time of entry."""
        return bool(self.entered_from or self.entered_to)

    @property
    def by_end(self) -> bool:
        """Whether it asks for a time of the end."""
        return bool(self.exited_from or self.exited_to)


@dataclass(frozen=True, slots=True)
class MemberPage:
    """A page of members, how many there are in all, and whether that is all of them."""

    members: list[StoredMembership]
    total: int
    total_is_exact: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    membership_ids: list[UUID]
    total: int
    exact: bool = True


async def page(pool: Pool, flow_id: UUID, wanted: MemberQuery, window: Window) -> MemberPage:
    """Give a page of a flow's members, and how many there are in all, as of one moment.

    Raises:
        Problem: If it lies behind what is counted or looked through.
    """
    async with snapshot(pool) as tx:
        found = await _find(tx, flow_id, wanted, window)
        members = await memberships.read_all(tx, found.membership_ids)
    return MemberPage(members, found.total, found.exact)


async def _find(tx: Transaction, flow_id: UUID, wanted: MemberQuery, window: Window) -> _Found:
    states = wanted.states
    counted = (await counts.read(tx, [flow_id])).get(flow_id, Counts())
    if not counted.kept(states):
        return _Found([], 0)
    if states == _LIVE + _ENDED:
        return await _by_entry(tx, flow_id, wanted.range, window, counted.kept(states))
    if wanted.by_entry:
        return await _looked_through(tx, flow_id, wanted, window)
    if set(states) <= set(_LIVE):
        found = await member_lists.live(tx, flow_id, states, window)
        return _Found(found, counted.kept(states))
    return await _by_end(tx, flow_id, wanted, window, counted.kept(states))


async def _by_entry(
    tx: Transaction, flow_id: UUID, when: Range, window: Window, last: int
) -> _Found:
    """Read by places: of the oldest that is wanted, of the newest, and so of the page's first."""
    newest, older = last, 0
    if when.entered_to < NEVER:
        newest = await member_lists.entered_up_to(tx, flow_id, when.entered_to)
    if when.entered_from > ALWAYS:
        older = await member_lists.entered_up_to(tx, flow_id, when.entered_from - _INSTANT)
    total = max(newest - older, 0)
    rows = min(window.at_most, total - window.skip)
    if rows <= 0:
        return _Found([], total)
    first = newest - window.skip
    return _Found(await member_lists.by_entry(tx, flow_id, first, last, rows), total)


async def _by_end(
    tx: Transaction, flow_id: UUID, wanted: MemberQuery, window: Window, total: int
) -> _Found:
    exact = True
    if wanted.by_end:
        _check_reach(window)
        total = await member_lists.count_by_end(tx, flow_id, wanted.states, wanted.range, MOST + 1)
        total, exact = min(total, MOST), total <= MOST
    found = await member_lists.by_end(tx, flow_id, wanted.states, wanted.range, window)
    return _Found(found, total, exact)


async def _looked_through(
    tx: Transaction, flow_id: UUID, wanted: MemberQuery, window: Window
) -> _Found:
    _check_reach(window)
    looked = await member_lists.look_through(tx, flow_id, wanted.states, wanted.range, window, MOST)
    return _Found(looked.membership_ids, looked.total, looked.looked_at < MOST)


def _check_reach(window: Window) -> None:
    if window.skip >= MOST:
        reach = f"with these filters pages reach {MOST} members far; ask for a shorter time"
        raise invalid("page", reach)
