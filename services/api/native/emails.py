"""`/v1/emails`: mails, from draft to approved."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.store import emails as store
from services.api.use_cases import emails
from services.api.use_cases.emails import MAX_TEXT_CHARACTERS, EmailDraft

router = APIRouter(prefix="/v1/emails", tags=["emails"])
Json = dict[str, Any]


class PlainText(BaseModel):
    """The text part of a mail."""

    model_config = ConfigDict(extra="forbid")

    plain_text: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]


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


@router.get("/{email_id}/plain-text")
async def read_plain_text(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Give the text part: what its author wrote, else what is read from the HTML."""
    return serializers.plain_text(await emails.read(app_context, workspace, email_id))


@router.put("/{email_id}/plain-text")
async def put_plain_text(
    app_context: ContextParam, workspace: Workspace, email_id: UUID, body: PlainText
) -> Json:
    """Override the text part of a draft; an empty one leaves it empty."""
    changed = await emails.set_text(app_context, workspace, email_id, body.plain_text)
    return serializers.plain_text(changed)


@router.delete("/{email_id}/plain-text")
async def delete_plain_text(
    app_context: ContextParam, workspace: Workspace, email_id: UUID
) -> Json:
    """Let the text part of a draft be read from the HTML again."""
    return serializers.plain_text(await emails.set_text(app_context, workspace, email_id, None))


@router.post("/{email_id}/approve")
async def approve(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Let flows send it."""
    return serializers.email(await emails.approve(app_context, workspace, email_id))


@router.post("/{email_id}/unapprove")
async def unapprove(app_context: ContextParam, workspace: Workspace, email_id: UUID) -> Json:
    """Make it a draft again."""
    return serializers.email(await emails.unapprove(app_context, workspace, email_id))
