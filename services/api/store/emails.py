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
    approved_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def add(
    tx: Transaction, email_id: UUID, workspace_id: UUID, content: dict[str, Any], now: datetime
) -> StoredEmail:
    """Add a draft."""
    await queries.add(tx, email_id=email_id, workspace_id=workspace_id, content=content, now=now)
    return StoredEmail(email_id, workspace_id, 1, "draft", content, None, now, now)


async def read(pool: Pool, workspace_id: UUID, email_id: UUID) -> StoredEmail | None:
    """Read a mail."""
    row = await queries.read(pool, workspace_id=workspace_id, email_id=email_id)
    return _email(row) if row else None


async def lock(tx: Transaction, workspace_id: UUID, email_id: UUID) -> StoredEmail | None:
    """Read a mail and keep others from changing it until the end of the transaction."""
    row = await queries.lock(tx, workspace_id=workspace_id, email_id=email_id)
    return _email(row) if row else None


async def change(
    tx: Transaction, email: StoredEmail, content: dict[str, Any], status: EmailStatus, now: datetime
) -> StoredEmail:
    """Make the next version of a mail."""
    row = await queries.change(
        tx,
        workspace_id=email.workspace_id,
        email_id=email.email_id,
        content=content,
        status=status,
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


async def statuses(
    tx: Transaction, workspace_id: UUID, email_ids: Iterable[UUID]
) -> dict[UUID, EmailStatus]:
    """Say of these mails whether they are approved; unknown ones are left out.

    They stay so until the end of the transaction: a flow that needs them is being activated.
    """
    rows = queries.statuses(tx, workspace_id=workspace_id, email_ids=list(email_ids))
    return {row["email_id"]: row["status"] async for row in rows}


def _email(row: Any) -> StoredEmail:
    return StoredEmail(**{field.name: row[field.name] for field in fields(StoredEmail)})
