"""Templates of web pages, as drafts and approved."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from services.api.store.pages import read_page

queries = queries_beside(__file__)
TemplateStatus = Literal["draft", "approved"]
TemplateKey = tuple[UUID, str]
"""Workspace and template."""


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """A template: its HTML, and whether pages may be made of it. In a list the HTML is empty."""

    template_id: str
    workspace_id: UUID
    version: int
    status: TemplateStatus
    name: str
    html: str
    approved_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def add(tx: Transaction, template: StoredTemplate) -> None:
    """Add a draft."""
    await queries.add(
        tx,
        template_id=template.template_id,
        workspace_id=template.workspace_id,
        name=template.name,
        html=template.html,
        now=template.created_at,
    )


async def read(pool: Pool, workspace_id: UUID, template_id: str) -> StoredTemplate | None:
    """Read a template."""
    row = await queries.read(pool, workspace_id=workspace_id, template_id=template_id)
    return _template(row) if row else None


async def lock(tx: Transaction, workspace_id: UUID, template_id: str) -> StoredTemplate | None:
    """Read a template and keep others from changing it until the end of the transaction."""
    row = await queries.lock(tx, workspace_id=workspace_id, template_id=template_id)
    return _template(row) if row else None


async def change(tx: Transaction, template: StoredTemplate) -> StoredTemplate:
    """Make the next version of a template, which is given as it is to be."""
    row = await queries.change(
        tx,
        workspace_id=template.workspace_id,
        template_id=template.template_id,
        name=template.name,
        html=template.html,
        status=template.status,
        approved_at=template.approved_at,
        now=template.updated_at,
    )
    return _template(row)


async def delete(tx: Transaction, workspace_id: UUID, template_id: str) -> None:
    """Delete a template."""
    await queries.delete(tx, workspace_id=workspace_id, template_id=template_id)


async def page(pool: Pool, **query: Any) -> tuple[list[StoredTemplate], int]:
    """Give one page of templates, without their HTML, and how many there are."""
    rows, total = await read_page(queries.page, pool, "template_id", query)
    return [_template(row) for row in rows], total


async def statuses(
    tx: Transaction, workspace_id: UUID, template_ids: Collection[str]
) -> dict[str, TemplateStatus]:
    """Say of these templates whether they are approved; unknown ones are left out.

    They stay so until the end of the transaction: a flow that needs them is being activated.
    """
    if not template_ids:
        return {}
    rows = queries.statuses(tx, workspace_id=workspace_id, template_ids=list(template_ids))
    return {row["template_id"]: row["status"] async for row in rows}


async def approved(tx: Transaction, wanted: Iterable[TemplateKey]) -> dict[TemplateKey, str]:
    """Give the HTML of those of these templates that are approved."""
    keys = list(wanted)
    rows = queries.approved(
        tx,
        workspace_ids=[workspace_id for workspace_id, _ in keys],
        template_ids=[template_id for _, template_id in keys],
    )
    return {(row["workspace_id"], row["template_id"]): row["html"] async for row in rows}


def _template(row: Any) -> StoredTemplate:
    return StoredTemplate(**{field.name: row[field.name] for field in fields(StoredTemplate)})
