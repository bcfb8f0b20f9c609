"""Web pages: those to be made, those that are made, and what they are called."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.membership_events import PageRequested
from libs.domain.contact import Scalar
from services.api.store.directory import ContactKey, columns_of

queries = queries_beside(__file__)
PageOutcome = Literal["published", "made", "failed"]
_ASKED = {"template_id", "prompt", "name", "alias", "publish", "contact", "run"}


@dataclass(frozen=True, slots=True)
class AskedPage:
    """A page to be made.

    Attributes:
        stored_at: In which time partition it is.
        live: Whether the run that asked for it goes on.
        attempt: How often it was begun before.
        contact: What it may show of the contact.
        run: The values of the run, which it may show as well.
    """

    page_id: UUID
    stored_at: datetime
    workspace_id: UUID
    contact_id: UUID
    membership_id: UUID
    hop: int
    attempt: int
    live: bool
    template_id: str | None
    prompt: str | None
    name: str | None
    alias: str | None
    publish: bool
    contact: dict[str, Scalar] = field(repr=False)
    run: dict[str, Scalar] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MadePage:
    """What came of a page.

    Attributes:
        alias: The one it has now; None if it has none.
        warnings: What was not done as it was asked for.
        reason: Why it failed.
    """

    asked: AskedPage
    outcome: PageOutcome
    html: str | None = field(default=None, repr=False)
    alias: str | None = None
    warnings: tuple[str, ...] = ()
    reason: str | None = None


async def ask(tx: Transaction, pages: Sequence[PageRequested]) -> None:
    """Keep what pages are to be made of; one that is known already is left as it is."""
    await queries.ask(
        tx,
        page_ids=[one.id for one in pages],
        workspace_ids=[one.workspace_id for one in pages],
        contact_ids=[one.contact_id for one in pages],
        membership_ids=[one.membership_id for one in pages],
        hops=[one.hop for one in pages],
        generated=[one.template_id is None for one in pages],
        asked=[one.model_dump(include=_ASKED) for one in pages],
    )


async def is_any_due(pool: Pool) -> bool:
    """Say whether there is anything to do."""
    return bool(await queries.is_any_due(pool))


async def waiting_workspaces(
    tx: Transaction, *, generated: bool, after: UUID, at_most: int
) -> list[UUID]:
    """Name some workspaces with pages that are to be made, now or later, in order of their ids."""
    rows = queries.waiting_workspaces(tx, generated=generated, after=after, at_most=at_most)
    return [row["workspace_id"] async for row in rows]


async def due(
    tx: Transaction, workspaces: Sequence[UUID], *, generated: bool, each: int
) -> list[AskedPage]:
    """Take some pages that are to be made now, until the end of the transaction.

    Args:
        tx: The transaction.
        workspaces: Whose.
        generated: Those that are generated, or those of templates.
        each: How many of each workspace.
    """
    rows = queries.due(tx, generated=generated, workspaces=workspaces, each=each)
    return [_asked(row) async for row in rows]


async def claim(tx: Transaction, pages: Sequence[AskedPage], seconds: float) -> None:
    """Let nobody else make these pages for so long."""
    if pages:
        await queries.claim(tx, **_keys(pages), seconds=seconds)


async def put_off(tx: Transaction, page: AskedPage, seconds: float) -> None:
    """Make a claimed page later, unless somebody else is at it by now."""
    await queries.put_off(
        tx, page_id=page.page_id, stored_at=page.stored_at, attempt=page.attempt + 1,
        seconds=seconds,
    )  # fmt: skip


async def hold(tx: Transaction, pages: Sequence[AskedPage]) -> set[UUID]:
    """Name those of these pages that are still to be made; nobody else takes them meanwhile."""
    return {row["page_id"] async for row in queries.hold(tx, **_keys(pages))}


async def take_aliases(tx: Transaction, wanted: Sequence[tuple[AskedPage, str]]) -> set[UUID]:
    """Give pages these aliases, where nobody has them; name the pages that got theirs."""
    if not wanted:
        return set()
    rows = queries.take_aliases(
        tx,
        **_keys([page for page, _ in wanted]),
        workspace_ids=[page.workspace_id for page, _ in wanted],
        aliases=[alias for _, alias in wanted],
    )
    return {row["page_id"] async for row in rows}


async def finish(tx: Transaction, made: Sequence[MadePage]) -> None:
    """Write what came of pages."""
    await queries.finish(
        tx,
        **_keys([one.asked for one in made]),
        statuses=[one.outcome for one in made],
        names=[one.asked.name and one.asked.name.replace("\0", "") for one in made],
        aliases=[one.alias for one in made],
        htmls=[one.html for one in made],
        warnings=[f"{{{','.join(one.warnings)}}}" for one in made],
        reasons=[one.reason for one in made],
    )


async def published(pool: Pool, workspace_id: UUID, name: UUID | str) -> str | None:
    """Give the HTML of a page that can be seen, by its id or its alias."""
    html: str | None
    if isinstance(name, UUID):
        html = await queries.by_id(pool, workspace_id=workspace_id, page_id=name)
    else:
        html = await queries.by_alias(pool, workspace_id=workspace_id, alias=name)
    return html


async def erase(tx: Transaction, contacts: Sequence[ContactKey]) -> None:
    """Erase the pages of contacts, and what they were called."""
    await queries.erase(tx, **columns_of(contacts))


async def drop_aliases(tx: Reads, days: float, at_most: int) -> None:
    """Drop aliases of pages that are no longer kept, some at a time."""
    await queries.drop_aliases(tx, days=days, at_most=at_most)


def _keys(pages: Sequence[AskedPage]) -> dict[str, list[Any]]:
    return {
        "page_ids": [one.page_id for one in pages],
        "stored_ats": [one.stored_at for one in pages],
    }


def _asked(row: Any) -> AskedPage:
    return AskedPage(
        page_id=row["page_id"],
        stored_at=row["stored_at"],
        workspace_id=row["workspace_id"],
        contact_id=row["contact_id"],
        membership_id=row["membership_id"],
        hop=row["hop"],
        attempt=row["attempt"],
        live=row["live"],
        **row["asked"],
    )
