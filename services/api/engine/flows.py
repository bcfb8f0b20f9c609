"""`/v1/flows`: flows of every home, their content where this is their home, and their life."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from services.api.engine import phrasing, serializers
from services.api.engine.documents import ENGINE, FlowDocument
from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.store import counts
from services.api.store import flows as store
from services.api.store.flows import StoredFlow
from services.api.use_cases import flows, lifecycle
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.dialects import FlowKey
from services.api.use_cases.problems import invalid

router = APIRouter(prefix=ENGINE.path, tags=["flows"])
Json = dict[str, Any]
Status = Literal["draft", "active", "paused", "archived"]
_STATUSES: tuple[Status, ...] = ("draft", "active", "paused", "archived")
_FIELDS = FlowDocument.model_fields.keys()
_STRUCTURE = frozenset({"triggers", "steps", "reentry"})


def _flow_key(workspace: Workspace, flow_id: UUID) -> FlowKey:
    return FlowKey(workspace, flow_id, ENGINE)


FlowParam = Annotated[FlowKey, Depends(_flow_key)]
"""The flow a path names."""


@router.post("", status_code=201)
async def create(
    app_context: ContextParam, workspace: Workspace, _body: FlowDocument, request: Request
) -> Json:
    """Create a draft."""
    created = await flows.create(app_context, ENGINE, workspace, await request.json())
    return await _with_counts(app_context, created)


@router.get("")
async def list_flows(
    app_context: ContextParam,
    workspace: Workspace,
    page: Annotated[Page, Depends()],
    status: Annotated[list[Status] | None, Query()] = None,
    dialect: str | None = None,
    search: Annotated[str | None, Query(max_length=200)] = None,
) -> Json:
    """List flows of every home, the one that changed last first."""
    found, total = await store.page(
        app_context.pool,
        workspace_id=workspace,
        dialect=dialect,
        shown_in=None,
        statuses=list(status or _STATUSES),
        search=search,
        sort_by="updated_at",
        descending=True,
        **page.query(),
    )
    counted = await counts.read(app_context.pool, [flow.flow_id for flow in found])
    listed = [serializers.flow(flow, counted.get(flow.flow_id)) for flow in found]
    return page.listed("flows", listed, total)


@router.get("/{flow_id}")
async def read(app_context: ContextParam, key: FlowParam) -> Json:
    """Give one flow."""
    return await _with_counts(app_context, await flows.read(app_context, key))


@router.patch("/{flow_id}")
async def patch(app_context: ContextParam, key: FlowParam, body: Json) -> Json:
    """Replace some fields of a flow; null takes an optional one away.

    Triggers, steps and re-entry may not change while the flow is active. Members who match a new
    guard are dropped at once.
    """
    for name in body:
        if name not in _FIELDS:
            raise invalid(name, "there is no such field")
    empty = {name for name, value in body.items() if value is None}
    changed = await flows.edit(
        app_context,
        key,
        lambda document: {
            name: value for name, value in {**document, **body}.items() if name not in empty
        },
        structure=bool(_STRUCTURE & body.keys()),
    )
    return await _with_counts(app_context, changed)


@router.delete("/{flow_id}")
async def delete(app_context: ContextParam, key: FlowParam) -> Json:
    """Delete a flow that is not active; its members are dropped."""
    await flows.delete(app_context, key)
    return {"flow_id": str(key.flow_id), "deleted": True}


@router.post("/{flow_id}/validate")
async def validate(app_context: ContextParam, key: FlowParam) -> Json:
    """Say whether the flow could be activated as it is now, and what deserves a look."""
    return phrasing.readiness(await lifecycle.validate(app_context, key))


@router.post("/{flow_id}/activate")
async def activate(app_context: ContextParam, key: FlowParam) -> Json:
    """Let a complete flow enroll and move contacts."""
    return await _with_counts(app_context, await lifecycle.activate(app_context, key))


@router.post("/{flow_id}/pause")
async def pause(app_context: ContextParam, key: FlowParam) -> Json:
    """Stop new work without dropping anyone."""
    return await _with_counts(app_context, await lifecycle.pause(app_context, key))


@router.post("/{flow_id}/archive")
async def archive(app_context: ContextParam, key: FlowParam) -> Json:
    """End a flow that is not active, for good."""
    return await _with_counts(app_context, await lifecycle.archive(app_context, key))


async def _with_counts(app_context: AppContext, flow: StoredFlow) -> Json:
    counted = await counts.read(app_context.pool, [flow.flow_id])
    return serializers.flow(flow, counted.get(flow.flow_id))
