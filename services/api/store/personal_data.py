"""What memberships and refusals hold of a person, and erasing it."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.membership_events import TimelineEntry
from services.api.store.directory import ContactKey, columns_of

queries = queries_beside(__file__)
_TIMELINE = TypeAdapter(list[TimelineEntry])
Rewrite = Callable[[TimelineEntry], TimelineEntry]


async def erase(tx: Transaction, contacts: Sequence[ContactKey], rewrite: Rewrite) -> None:
    """Erase what is held of contacts as persons; `rewrite` says what a timeline entry may keep."""
    wanted = columns_of(contacts)
    await queries.erase_live_contexts(tx, **wanted)
    await queries.erase_ended_contexts(tx, **wanted)
    await queries.erase_refusals(tx, **wanted)
    await _rewrite_live(tx, [row async for row in queries.live_timelines(tx, **wanted)], rewrite)
    await _rewrite_ended(tx, [row async for row in queries.ended_timelines(tx, **wanted)], rewrite)


async def _rewrite_live(tx: Transaction, rows: Sequence[Any], rewrite: Rewrite) -> None:
    written = [(row, _rewritten(row["entries"], rewrite)) for row in rows]
    if changed := [(row, entries) for row, entries in written if entries]:
        await queries.write_live_timelines(
            tx,
            membership_ids=[row["membership_id"] for row, _ in changed],
            sequences=[row["sequence"] for row, _ in changed],
            entries=[entries for _, entries in changed],
        )


async def _rewrite_ended(tx: Transaction, rows: Sequence[Any], rewrite: Rewrite) -> None:
    flat = ([entry for walk in row["walks"] for entry in walk] for row in rows)
    written = [(row, _rewritten(entries, rewrite)) for row, entries in zip(rows, flat, strict=True)]
    if changed := [(row, entries) for row, entries in written if entries]:
        await queries.write_ended_timelines(
            tx,
            membership_ids=[row["membership_id"] for row, _ in changed],
            stored_ats=[row["stored_at"] for row, _ in changed],
            entries=[entries for _, entries in changed],
        )


def _rewritten(entries: list[Any], rewrite: Rewrite) -> str | None:
    """Rewrite entries, as JSON; None if that changes nothing."""
    before = _TIMELINE.validate_python(entries)
    after = [rewrite(entry) for entry in before]
    return None if after == before else to_json(after).decode()
