"""`/v1/emails`: mails, from draft to approved."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from services.api.http.keys import DeskParam, Workspace
from services.api.http.paging import Page
from services.api.native import shapes
from services.api.store import emails as store
from services.api.use_cases import emails
from services.api.use_cases.emails import EmailDraft

router = APIRouter(prefix="/v1/emails", tags=["emails"])
Json = dict[str, Any]


@router.post("", status_code=201)
async def create(desk: DeskParam, workspace: Workspace, body: EmailDraft) -> Json:
    """Create a draft."""
    return shapes.email(await emails.create(desk, workspace, body))


@router.get("")
async def list_emails(
    desk: DeskParam, workspace: Workspace, page: Annotated[Page, Depends()]
) -> Json:
    """List mails, newest first."""
    found, total = await store.page(desk.pool, workspace, page.limit, page.skip)
    return {
        "emails": [shapes.email(one) for one in found],
        "pagination": page.pagination(total),
    }


@router.get("/{email_id}")
async def read(desk: DeskParam, workspace: Workspace, email_id: UUID) -> Json:
    """Give one mail."""
    return shapes.email(await emails.read(desk, workspace, email_id))


@router.patch("/{email_id}")
async def patch(desk: DeskParam, workspace: Workspace, email_id: UUID, body: Json) -> Json:
    """Change some fields of a draft."""
    return shapes.email(await emails.patch(desk, workspace, email_id, body))


@router.post("/{email_id}/approve")
async def approve(desk: DeskParam, workspace: Workspace, email_id: UUID) -> Json:
    """Let flows send it."""
    return shapes.email(await emails.approve(desk, workspace, email_id))


@router.post("/{email_id}/unapprove")
async def unapprove(desk: DeskParam, workspace: Workspace, email_id: UUID) -> Json:
    """Make it a draft again."""
    return shapes.email(await emails.unapprove(desk, workspace, email_id))
