"""Templates of web pages: drafts that are approved before a flow may make pages of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field

from libs.chassis.exactly_once.relay import Unit
from services.api.store import flows, page_templates
from services.api.store.page_templates import StoredTemplate
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.bodies import read_body
from services.api.use_cases.problems import Problem, template_not_found
from services.api.use_cases.publishing import definition_of

MAX_TEMPLATE_CHARACTERS = 500_000


class TemplateDraft(BaseModel):
    """What a user writes of a template (services/api/native/README.md, "Web pages")."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    html: Annotated[str, Field(min_length=1, max_length=MAX_TEMPLATE_CHARACTERS)]


async def create(
    app_context: AppContext, workspace_id: UUID, draft: TemplateDraft
) -> StoredTemplate:
    """Create a draft."""
    now = app_context.clock.now()
    template = StoredTemplate(
        template_id=f"tpl_{uuid4().hex}",
        workspace_id=workspace_id,
        version=1,
        status="draft",
        name=draft.name,
        html=draft.html,
        approved_at=None,
        created_at=now,
        updated_at=now,
    )
    async with app_context.relay.unit() as unit:
        await page_templates.add(unit.tx, template)
    return template


async def read(app_context: AppContext, workspace_id: UUID, template_id: str) -> StoredTemplate:
    """Read a template.

    Raises:
        Problem: If there is none.
    """
    template = await page_templates.read(app_context.pool, workspace_id, template_id)
    if template is None:
        raise template_not_found()
    return template


async def patch(
    app_context: AppContext, workspace_id: UUID, template_id: str, changes: Mapping[str, Any]
) -> StoredTemplate:
    """Change some fields of a draft.

    Raises:
        Problem: If there is no such template, it is approved, or a field is wrong.
    """
    async with app_context.relay.unit() as unit:
        template = await _lock(unit, workspace_id, template_id)
        if template.status == "approved":
            message = "Unapprove the template before editing it"
            raise Problem("conflict", "template_not_editable", message)
        whole = {"name": template.name, "html": template.html, **changes}
        draft = read_body(TemplateDraft, whole)
        changed = replace(
            template, name=draft.name, html=draft.html, updated_at=app_context.clock.now()
        )
        return await page_templates.change(unit.tx, changed)


async def approve(app_context: AppContext, workspace_id: UUID, template_id: str) -> StoredTemplate:
    """Let flows make pages of a template, as it is now.

    Raises:
        Problem: If there is no such template.
    """
    async with app_context.relay.unit() as unit:
        template = await _lock(unit, workspace_id, template_id)
        if template.status == "approved":
            return template
        now = app_context.clock.now()
        approved = replace(template, status="approved", approved_at=now, updated_at=now)
        return await page_templates.change(unit.tx, approved)


async def unapprove(
    app_context: AppContext, workspace_id: UUID, template_id: str
) -> StoredTemplate:
    """Make a template a draft again.

    Raises:
        Problem: If there is no such template, or an active flow makes pages of it.
    """
    async with app_context.relay.unit() as unit:
        template = await _lock(unit, workspace_id, template_id)
        if template.status == "draft":
            return template
        await _check_unused(unit, workspace_id, template_id)
        now = app_context.clock.now()
        draft = replace(template, status="draft", approved_at=None, updated_at=now)
        return await page_templates.change(unit.tx, draft)


async def delete(app_context: AppContext, workspace_id: UUID, template_id: str) -> None:
    """Delete a template. A flow that names it is not ready until it names another one.

    Raises:
        Problem: If there is no such template, or an active flow makes pages of it.
    """
    async with app_context.relay.unit() as unit:
        await _lock(unit, workspace_id, template_id)
        await _check_unused(unit, workspace_id, template_id)
        await page_templates.delete(unit.tx, workspace_id, template_id)


async def _check_unused(unit: Unit, workspace_id: UUID, template_id: str) -> None:
    naming = await flows.active_naming(unit.tx, workspace_id, template_id)
    making = [one for one in naming if template_id in definition_of(one).templates_named()]
    if making:
        details = {"flow_ids": [str(flow.flow_id) for flow in making]}
        message = "An active flow makes pages of this template"
        raise Problem("conflict", "template_in_use", message, details)


async def _lock(unit: Unit, workspace_id: UUID, template_id: str) -> StoredTemplate:
    template = await page_templates.lock(unit.tx, workspace_id, template_id)
    if template is None:
        raise template_not_found()
    return template
