"""Flows: as their users wrote them, and what that was compiled to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.flow import FlowStatus
from services.api.store.flow_dependencies import DependencyChange
from services.api.store.pages import read_page

queries = queries_beside(__file__)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What a user wrote, in which dialect, and what the dialect's compiler made of it.

    Attributes:
        dialect: Its home.
        document: What was written.
        definition: What was made of it.
        compiler: By which version of the compiler.
        readable_in: In which dialects it can be shown.
    """

    dialect: str
    document: Json
    definition: Json
    compiler: int
    readable_in: list[str]


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """A flow: its document as it was sent, its definition, and where it is in its life."""

    flow_id: UUID
    workspace_id: UUID
    version: int
    published_version: int
    status: FlowStatus
    dialect: str
    document: Json
    definition: Json
    compiler: int
    readable_in: list[str]
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a flow: what is written, its status, and whether others hear of it."""

    written: Written | None = None
    status: FlowStatus | None = None
    published: bool = False


async def add(
    tx: Transaction, flow_id: UUID, workspace_id: UUID, written: Written, now: datetime
) -> StoredFlow:
    """Add a draft."""
    row = await queries.add(
        tx,
        flow_id=flow_id,
        workspace_id=workspace_id,
        dialect=written.dialect,
        **_columns(written),
        now=now,
    )
    return _flow(row)


async def read(pool: Pool, workspace_id: UUID, flow_id: UUID) -> StoredFlow | None:
    """Read a flow; deleted ones are not there."""
    row = await queries.read(pool, workspace_id=workspace_id, flow_id=flow_id)
    return _flow(row) if row else None


async def lock(tx: Transaction, workspace_id: UUID, flow_id: UUID) -> StoredFlow | None:
    """Read a flow and keep others from changing it until the end of the transaction."""
    row = await queries.lock(tx, workspace_id=workspace_id, flow_id=flow_id)
    return _flow(row) if row else None


async def change(tx: Transaction, flow: StoredFlow, change: Change, now: datetime) -> StoredFlow:
    """Make the next version of a flow."""
    kept = Written(flow.dialect, flow.document, flow.definition, flow.compiler, flow.readable_in)
    status = change.status or flow.status
    archived_at = now if status is FlowStatus.ARCHIVED else None
    row = await queries.change(
        tx,
        workspace_id=flow.workspace_id,
        flow_id=flow.flow_id,
        **_columns(change.written or kept),
        status=status.value,
        published=change.published,
        archived_at=flow.archived_at or archived_at,
        now=now,
    )
    return _flow(row)


async def page(pool: Pool, **query: Any) -> tuple[list[StoredFlow], int]:
    """Give one page of flows, and how many there are."""
    rows, total = await read_page(queries.page, pool, "flow_id", query)
    return [_flow(row) for row in rows], total


async def active_naming(
    tx: Transaction, workspace_id: UUID, some_id: UUID | str
) -> list[StoredFlow]:
    """Give the active flows in whose definition an id stands, wherever and as whatever."""
    rows = queries.active_naming(tx, workspace_id=workspace_id, some_id=str(some_id))
    return [_flow(row) async for row in rows]


async def lock_dependants(
    tx: Transaction, change: DependencyChange, at_most: int
) -> list[StoredFlow]:
    """Read the next flows that depend on what has changed, and keep others from changing them."""
    rows = queries.lock_dependants(
        tx, workspace_id=change.workspace_id, needs_id=change.needs_id,
        after_id=change.after_id, at_most=at_most,
    )  # fmt: skip
    return [_flow(row) async for row in rows]


async def republish(tx: Transaction, flows: Sequence[StoredFlow]) -> None:
    """Write flows as they are published anew."""
    if flows:
        await queries.republish(
            tx,
            flow_ids=[flow.flow_id for flow in flows],
            versions=[flow.version for flow in flows],
            definitions=[flow.definition for flow in flows],
            compilers=[flow.compiler for flow in flows],
        )


def _columns(written: Written) -> Json:
    return {
        "name": written.definition["name"],
        "description": written.document.get("description"),
        "document": written.document,
        "definition": written.definition,
        "compiler": written.compiler,
        "readable_in": written.readable_in,
    }


def _flow(row: Any) -> StoredFlow:
    return StoredFlow(
        flow_id=row["flow_id"],
        workspace_id=row["workspace_id"],
        version=row["version"],
        published_version=row["published_version"],
        status=FlowStatus(row["status"]),
        dialect=row["dialect"],
        document=row["document"],
        definition=row["definition"],
        compiler=row["compiler"],
        readable_in=row["readable_in"],
        archived_at=row["archived_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
