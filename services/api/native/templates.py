"""`/v1/templates`: what web pages are made of, from draft to approved."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.store import page_templates as store
from services.api.use_cases import page_templates
from services.api.use_cases.page_templates import TemplateDraft

router = APIRouter(prefix="/v1/templates", tags=["templates"])
Json = dict[str, Any]


@router.post("", status_code=201)
async def create(app_context: ContextParam, workspace: Workspace, body: TemplateDraft) -> Json:
    """Create a draft."""
    return serializers.template(await page_templates.create(app_context, workspace, body))


@router.get("")
async def list_templates(
    app_context: ContextParam, workspace: Workspace, page: Annotated[Page, Depends()]
) -> Json:
    """List templates without their HTML, newest first."""
    found, total = await store.page(app_context.pool, workspace_id=workspace, **page.query())
    return page.listed("templates", [serializers.template_head(one) for one in found], total)


@router.get("/{template_id}")
async def read(app_context: ContextParam, workspace: Workspace, template_id: str) -> Json:
    """Give one template."""
    return serializers.template(await page_templates.read(app_context, workspace, template_id))


@router.patch("/{template_id}")
async def patch(
    app_context: ContextParam, workspace: Workspace, template_id: str, body: Json
) -> Json:
    """Change some fields of a draft."""
    changed = await page_templates.patch(app_context, workspace, template_id, body)
    return serializers.template(changed)


@router.delete("/{template_id}")
async def delete(app_context: ContextParam, workspace: Workspace, template_id: str) -> Json:
    """Delete a template of which no active flow makes pages."""
    await page_templates.delete(app_context, workspace, template_id)
    return {"template_id": template_id, "deleted": True}


@router.post("/{template_id}/approve")
async def approve(app_context: ContextParam, workspace: Workspace, template_id: str) -> Json:
    """Let flows make pages of it."""
    return serializers.template(await page_templates.approve(app_context, workspace, template_id))


@router.post("/{template_id}/unapprove")
async def unapprove(app_context: ContextParam, workspace: Workspace, template_id: str) -> Json:
    """Make it a draft again."""
    return serializers.template(await page_templates.unapprove(app_context, workspace, template_id))
