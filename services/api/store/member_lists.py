"""Which memberships of a flow stand on a page of a list, and how many there are.

The order in which memberships entered never changes: whoever comes late comes in between, and what
is dropped by age goes from it, but nothing that happens to a membership moves it. So every
thousandth has its place written down, as an anchor, and a page is read from the anchor next to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
SPACING = 1000
"""So many memberships from anchor to anchor; the newest of a flow have none yet."""
ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A membership whose place in the order of entry is known, counted from the oldest."""

    place: int
    entered_at: datetime
    membership_id: UUID


@dataclass(frozen=True, slots=True)
class Range:
    """When memberships entered and ended, both ends included."""

    entered_from: datetime = ALWAYS
    entered_to: datetime = NEVER
    exited_from: datetime = ALWAYS
    exited_to: datetime = NEVER


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a list: so many are skipped, so many wanted."""

    skip: int
    at_most: int


async def entered_up_to(tx: Transaction, flow_id: UUID, until: datetime) -> int:
    """Say how many of a flow's memberships had entered by a time."""
    row = await queries.anchor_before(tx, flow_id=flow_id, until=until)
    anchor = _anchor(row) or Anchor(0, ALWAYS, FIRST_ID)
    counted: int = await queries.count_between(
        tx,
        flow_id=flow_id,
        after_at=anchor.entered_at,
        after_id=anchor.membership_id,
        until=until,
    )
    return anchor.place + counted


async def by_entry(
    tx: Transaction, flow_id: UUID, place: int, last: int, at_most: int
) -> list[UUID]:
    """Name memberships from a place on, towards the older ones.

    Args:
        tx: Where to read.
        flow_id: Their flow.
        place: Where to begin, counted from the oldest.
        last: The place of the newest.
        at_most: How many are wanted.
    """
    row = await queries.anchor_at(tx, flow_id=flow_id, place=place)
    anchor = _anchor(row) or Anchor(last, NEVER, LAST_ID)
    rows = queries.by_entry(
        tx,
        flow_id=flow_id,
        from_at=anchor.entered_at,
        from_id=anchor.membership_id,
        skip=anchor.place - place,
        at_most=at_most,
    )
    return [row["membership_id"] async for row in rows]


async def live(tx: Transaction, flow_id: UUID, states: Sequence[str], window: Window) -> list[UUID]:
    """Name live memberships, the last that entered first."""
    wanted = {"skip": window.skip, "at_most": window.at_most}
    rows = queries.live(tx, flow_id=flow_id, states=states, **wanted)
    return [row["membership_id"] async for row in rows]


async def by_end(
    tx: Transaction, flow_id: UUID, states: Sequence[str], when: Range, window: Window
) -> list[UUID]:
    """Name ended memberships, the last that ended first."""
    rows = queries.by_end(
        tx,
        flow_id=flow_id,
        states=states,
        exited_from=when.exited_from,
        exited_to=when.exited_to,
        skip=window.skip,
        at_most=window.at_most,
    )
    return [row["membership_id"] async for row in rows]


async def count_by_end(
    tx: Transaction, flow_id: UUID, states: Sequence[str], when: Range, most: int
) -> int:
    """Count memberships that ended in a time, up to a number."""
    counted: int = await queries.count_by_end(
        tx,
        flow_id=flow_id,
        states=states,
        exited_from=when.exited_from,
        exited_to=when.exited_to,
        most=most,
    )
    return counted


@dataclass(frozen=True, slots=True)
class LookedThrough:
    """What was found, how much of it in all, among how many that were looked at."""

    membership_ids: list[UUID]
    total: int
    looked_at: int


async def look_through(
    tx: Transaction, flow_id: UUID, states: Sequence[str], when: Range, window: Window, most: int
) -> LookedThrough:
    """Look one by one through what entered in a time, the last that entered first."""
    row = await queries.look_through(
        tx,
        flow_id=flow_id,
        states=states,
        entered_from=when.entered_from,
        entered_to=when.entered_to,
        exited_from=when.exited_from,
        exited_to=when.exited_to,
        skip=window.skip,
        at_most=window.at_most,
        most=most,
    )
    return LookedThrough(row["membership_ids"], row["total"], row["looked_at"])


async def set_anchors(tx: Transaction, flows: int, at_most: int) -> None:
    """Set anchors in some flows where they are missing, some in each.

    The newest memberships get none: the last thousand, where most of those that come late belong.
    Whoever folds counts or drops memberships must not do so meanwhile.
    """
    for row in [row async for row in queries.to_anchor(tx, at_most=flows)]:
        await queries.anchor(
            tx,
            flow_id=row["flow_id"],
            place=row["place"],
            after_at=row["entered_at"],
            after_id=row["membership_id"],
            spacing=SPACING,
            at_most=max(0, min(at_most, row["behind"] // SPACING - 1)),
        )


def _anchor(row: Any) -> Anchor | None:
    return Anchor(row["place"], row["entered_at"], row["membership_id"]) if row else None
