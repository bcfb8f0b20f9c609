"""Mails, as drafts and approved."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from services.api.store.pages import read_page

queries = queries_beside(__file__)
EmailStatus = Literal["draft", "approved"]


@dataclass(frozen=True, slots=True)
class StoredEmail:
    """A mail: its headers and bodies, and whether it may be sent."""

    email_id: UUID
    workspace_id: UUID
    version: int
    status: EmailStatus
    content: dict[str, Any]
    text_is_stale: bool
    approved_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def add(
    tx: Transaction, email_id: UUID, workspace_id: UUID, content: dict[str, Any], now: datetime
) -> StoredEmail:
    """Add a draft."""
    await queries.add(tx, email_id=email_id, workspace_id=workspace_id, content=content, now=now)
    return StoredEmail(email_id, workspace_id, 1, "draft", content, False, None, now, now)  # noqa: FBT003  (a row, column by column)


async def read(pool: Pool, workspace_id: UUID, email_id: UUID) -> StoredEmail | None:
    """Read a mail."""
    row = await queries.read(pool, workspace_id=workspace_id, email_id=email_id)
    return _email(row) if row else None


async def lock(tx: Transaction, workspace_id: UUID, email_id: UUID) -> StoredEmail | None:
    """Read a mail and keep others from changing it until the end of the transaction."""
    row = await queries.lock(tx, workspace_id=workspace_id, email_id=email_id)
    return _email(row) if row else None


async def change(
    tx: Transaction,
    email: StoredEmail,
    content: dict[str, Any],
    now: datetime,
    *,
    text_is_stale: bool,
) -> StoredEmail:
    """Make the next version of a draft."""
    row = await queries.change(
        tx,
        workspace_id=email.workspace_id,
        email_id=email.email_id,
        content=content,
        text_is_stale=text_is_stale,
        now=now,
    )
    return _email(row)


async def change_status(
    tx: Transaction,
    email: StoredEmail,
    status: EmailStatus,
    now: datetime,
    contact_tags: Iterable[str] = (),
) -> StoredEmail:
    """Approve a mail, which names these fields of contacts, or make it a draft again."""
    row = await queries.change_status(
        tx,
        workspace_id=email.workspace_id,
        email_id=email.email_id,
        status=status,
        contact_tags=sorted(contact_tags),
        approved_at=now if status == "approved" else None,
        now=now,
    )
    return _email(row)


async def delete(tx: Transaction, workspace_id: UUID, email_id: UUID) -> None:
    """Delete a mail."""
    await queries.delete(tx, workspace_id=workspace_id, email_id=email_id)


async def page(pool: Pool, **query: Any) -> tuple[list[StoredEmail], int]:
    """Give one page of mails, and how many there are."""
    rows, total = await read_page(queries.page, pool, "email_id", query)
    return [_email(row) for row in rows], total


@dataclass(frozen=True, slots=True)
class KnownEmail:
    """What a flow must know of a mail it sends."""

    status: EmailStatus
    contact_tags: list[str]
    without_text: bool


async def known(
    tx: Transaction, workspace_id: UUID, email_ids: Iterable[UUID]
) -> dict[UUID, KnownEmail]:
    """Say of these mails whether they may be sent, and what they name; unknown ones are left out.

    They stay so until the end of the transaction: a flow that needs them is being activated.
    """
    rows = queries.known(tx, workspace_id=workspace_id, email_ids=list(email_ids))
    return {
        row["email_id"]: KnownEmail(row["status"], row["contact_tags"], row["without_text"])
        async for row in rows
    }


def _email(row: Any) -> StoredEmail:
    return StoredEmail(**{field.name: row[field.name] for field in fields(StoredEmail)})
