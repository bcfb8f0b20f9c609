"""`/v1/email-flows`: flows, their triggers, their life."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from libs.domain.flow import AnyTrigger, FlowContent
from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.store import counts
from services.api.store import flows as store
from services.api.store.flows import StoredFlow
from services.api.use_cases import flows, lifecycle
from services.api.use_cases.app_context import AppContext

router = APIRouter(prefix="/v1/email-flows", tags=["flows"])
_STATUSES = ("draft", "active", "paused", "archived")
Json = dict[str, Any]


class Triggers(BaseModel):
    """A whole list of triggers."""

    model_config = ConfigDict(extra="forbid")

    triggers: list[AnyTrigger]


async def with_counts(app_context: AppContext, flow: StoredFlow) -> Json:
    """Write a flow with its counts."""
    counted = await counts.read(app_context.pool, [flow.flow_id])
    return serializers.flow(flow, counted.get(flow.flow_id))


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Which flows to list, and in which order."""

    status: Literal["draft", "active", "paused", "archived", "any"] = "any"
    archived: bool | None = None
    sort_by: Literal["updated_at", "created_at", "name"] = "updated_at"
    sort_order: Literal["asc", "desc"] = "desc"
    search: Annotated[str | None, Query(max_length=200)] = None

    def query(self) -> Json:
        """Write it as the store takes it."""
        descending = self.sort_order == "desc"
        asked = {"search": self.search, "sort_by": self.sort_by, "descending": descending}
        return {"statuses": self._statuses(), **asked}

    def _statuses(self) -> list[str]:
        """Say which statuses to list: archived flows are hidden unless they are asked for."""
        wanted = {self.status} if self.status != "any" else set(_STATUSES)
        if self.archived is True:
            wanted = {"archived"}
        elif self.archived is False or self.status == "any":
            wanted -= {"archived"}
        return sorted(wanted)


@router.post("", status_code=201)
async def create(
    app_context: ContextParam, workspace: Workspace, _body: FlowContent, request: Request
) -> Json:
    """Create a draft."""
    return await with_counts(
        app_context, await flows.create(app_context, workspace, await request.json())
    )


@router.get("")
async def list_flows(
    app_context: ContextParam,
    workspace: Workspace,
    page: Annotated[Page, Depends()],
    wanted: Annotated[FlowFilter, Depends()],
) -> Json:
    """List flows, archived ones only if asked for."""
    found, total = await store.page(
        app_context.pool,
        workspace_id=workspace,
        **wanted.query(),
        **page.query(),
    )
    counted = await counts.read(app_context.pool, [flow.flow_id for flow in found])
    listed = [serializers.flow(flow, counted.get(flow.flow_id)) for flow in found]
    return page.listed("flows", listed, total)


@router.get("/{flow_id}")
async def read(app_context: ContextParam, workspace: Workspace, flow_id: UUID) -> Json:
    """Give one flow."""
    return await with_counts(app_context, await flows.read(app_context, workspace, flow_id))


@router.patch("/{flow_id}")
async def patch(app_context: ContextParam, workspace: Workspace, flow_id: UUID, body: Json) -> Json:
    """Change some fields of a flow."""
    return await with_counts(app_context, await flows.patch(app_context, workspace, flow_id, body))


@router.delete("/{flow_id}")
async def delete(app_context: ContextParam, workspace: Workspace, flow_id: UUID) -> Json:
    """Delete a flow that is not active."""
    await flows.delete(app_context, workspace, flow_id)
    return {"flow_id": str(flow_id), "deleted": True}


@router.put("/{flow_id}/triggers")
async def put_triggers(
    app_context: ContextParam,
    workspace: Workspace,
    flow_id: UUID,
    _body: Triggers,
    request: Request,
) -> Json:
    """Replace all triggers."""
    return await with_counts(
        app_context, await flows.patch(app_context, workspace, flow_id, await request.json())
    )


@router.post("/{flow_id}/activate")
async def activate(app_context: ContextParam, workspace: Workspace, flow_id: UUID) -> Json:
    """Let a complete flow enroll and move contacts."""
    return await with_counts(app_context, await lifecycle.activate(app_context, workspace, flow_id))


@router.post("/{flow_id}/pause")
async def pause(app_context: ContextParam, workspace: Workspace, flow_id: UUID) -> Json:
    """Stop new work without dropping anyone."""
    return await with_counts(app_context, await lifecycle.pause(app_context, workspace, flow_id))


@router.post("/{flow_id}/archive")
async def archive(app_context: ContextParam, workspace: Workspace, flow_id: UUID) -> Json:
    """End a flow that is not active, for good."""
    return await with_counts(app_context, await lifecycle.archive(app_context, workspace, flow_id))
