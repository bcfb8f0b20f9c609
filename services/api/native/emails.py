"""`/v1/emails`: mails, from draft to approved."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.store import emails as store
from services.api.use_cases import emails
from services.api.use_cases.emails import EmailDraft

router = APIRouter(prefix="/v1/emails", tags=["emails"])
Json = dict[str, Any]


@router.post("", status_code=201)
async def create(app_context: ContextParam, workspace: Workspace, body: EmailDraft) -> Json:
    """Create a draft."""
    return serializers.email(await emails.create(app_context, workspace, body))


@router.get("")
async def list_emails(
    app_context: ContextParam, workspace: Workspace, page: Annotated[Page, Depends()]
) -> Json:
    """List mails, newest first."""
    found, total = await store.page(app_context.pool, workspace_id=workspace, **page.query())
    return page.listed("emails", [serializers.email(one) for one in found], total)


@router.get("/{email_id}")
async def read(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Give one mail."""
    return serializers.email(await emails.read(app_context, workspace, email_id))


@router.patch("/{email_id}")
async def patch(
    app_context: ContextParam, workspace: Workspace, email_id: UUID, body: Json
) -> Json:
    """Change some fields of a draft."""
    return serializers.email(await emails.patch(app_context, workspace, email_id, body))


@router.delete("/{email_id}")
async def delete(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Delete a mail that no active flow sends."""
    await emails.delete(app_context, workspace, email_id)
    return {"email_id": str(email_id), "deleted": True}


@router.get("/{email_id}/content")
async def read_content(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Give the HTML of a mail."""
    found = await emails.read(app_context, workspace, email_id)
    return {"email_id": str(email_id), "version": found.version, "html": found.content.get("html")}


@router.post("/{email_id}/approve")
async def approve(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Let flows send it."""
    return serializers.email(await emails.approve(app_context, workspace, email_id))


@router.post("/{email_id}/unapprove")
async def unapprove(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Make it a draft again."""
    return serializers.email(await emails.unapprove(app_context, workspace, email_id))
