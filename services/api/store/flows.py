"""Flows, as their users wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.flow import FlowStatus
from services.api.store.pages import read_page

queries = queries_beside(__file__)
Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """A flow: its content as it was sent, and where it is in its life."""

    flow_id: UUID
    workspace_id: UUID
    version: int
    published_version: int
    status: FlowStatus
    content: Content
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of a flow: content, status, and whether others hear of it."""

    content: Content
    status: FlowStatus
    published: bool
    now: datetime


async def add(
    tx: Transaction, flow_id: UUID, workspace_id: UUID, content: Content, now: datetime
) -> StoredFlow:
    """Add a draft."""
    await queries.add(
        tx,
        flow_id=flow_id,
        workspace_id=workspace_id,
        name=content["name"],
        content=content,
        now=now,
    )
    return StoredFlow(flow_id, workspace_id, 1, 0, FlowStatus.DRAFT, content, None, now, now)


async def read(pool: Pool, workspace_id: UUID, flow_id: UUID) -> StoredFlow | None:
    """Read a flow; deleted ones are not there."""
    row = await queries.read(pool, workspace_id=workspace_id, flow_id=flow_id)
    return _flow(row) if row else None


async def lock(tx: Transaction, workspace_id: UUID, flow_id: UUID) -> StoredFlow | None:
    """Read a flow and keep others from changing it until the end of the transaction."""
    row = await queries.lock(tx, workspace_id=workspace_id, flow_id=flow_id)
    return _flow(row) if row else None


async def change(tx: Transaction, flow: StoredFlow, change: Change) -> StoredFlow:
    """Make the next version of a flow."""
    archiving = change.status is FlowStatus.ARCHIVED
    row = await queries.change(
        tx,
        workspace_id=flow.workspace_id,
        flow_id=flow.flow_id,
        name=change.content["name"],
        content=change.content,
        status=change.status.value,
        published=change.published,
        archived_at=flow.archived_at or (change.now if archiving else None),
        now=change.now,
    )
    return _flow(row)


async def page(pool: Pool, **query: Any) -> tuple[list[StoredFlow], int]:
    """Give one page of flows, and how many there are."""
    rows, total = await read_page(queries.page, pool, query)
    return [_flow(row) for row in rows], total


async def naming_email(tx: Transaction, workspace_id: UUID, email_id: UUID) -> Sequence[UUID]:
    """Name the active flows that send a mail."""
    rows = queries.naming_email(tx, workspace_id=workspace_id, email_id=str(email_id))
    return [row["flow_id"] async for row in rows]


def _flow(row: Any) -> StoredFlow:
    return StoredFlow(
        flow_id=row["flow_id"],
        workspace_id=row["workspace_id"],
        version=row["version"],
        published_version=row["published_version"],
        status=FlowStatus(row["status"]),
        content=row["content"],
        archived_at=row["archived_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
