"""`/v1/email-flows`: flows, their triggers, their life."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict

from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.native.dialect import NATIVE
from services.api.native.documents import FlowDocument
from services.api.native.wire_triggers import AnyWireTrigger
from services.api.store import counts
from services.api.store import flows as store
from services.api.store.flows import StoredFlow
from services.api.use_cases import flows, lifecycle
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.dialects import FlowKey
from services.api.use_cases.problems import invalid

router = APIRouter(prefix="/v1/email-flows", tags=["flows"])
_STATUSES = ("draft", "active", "paused", "archived")
_STRUCTURE = frozenset({"triggers", "steps", "reentry_policy"})
_PATCHABLE = _STRUCTURE | {"name", "description", "disqualification_rules", "settings"}
Json = dict[str, Any]


def _native_flow(workspace: Workspace, flow_id: UUID) -> FlowKey:
    return FlowKey(workspace, flow_id, NATIVE)


NativeFlow = Annotated[FlowKey, Depends(_native_flow)]
"""The flow a path names."""


class Triggers(BaseModel):
    """A whole list of triggers."""

    model_config = ConfigDict(extra="forbid")

    triggers: list[AnyWireTrigger]


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
    app_context: ContextParam, workspace: Workspace, _body: FlowDocument, request: Request
) -> Json:
    """Create a draft."""
    created = await flows.create(app_context, NATIVE, workspace, await request.json())
    return await with_counts(app_context, created)


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
        dialect=None,
        shown_in=NATIVE.name,
        **wanted.query(),
        **page.query(),
    )
    counted = await counts.read(app_context.pool, [flow.flow_id for flow in found])
    listed = [serializers.flow(flow, counted.get(flow.flow_id)) for flow in found]
    return page.listed("flows", listed, total)


@router.get("/{flow_id}")
async def read(app_context: ContextParam, key: NativeFlow) -> Json:
    """Give one flow."""
    return await with_counts(app_context, await flows.read(app_context, key))


@router.patch("/{flow_id}")
async def patch(app_context: ContextParam, key: NativeFlow, body: Json) -> Json:
    """Change some fields of a flow; triggers and steps are replaced whole.

    On an active flow only name, description, settings and disqualification rules may change; the
    services hear of it at once, and members who match new rules are dropped.
    """
    return await with_counts(app_context, await change(app_context, key, body))


async def change(app_context: AppContext, key: FlowKey, changes: Json) -> StoredFlow:
    """Replace some fields of a flow's document.

    Raises:
        Problem: If a field cannot be changed, or not now, or is wrong.
    """
    for name in changes:
        if name not in _PATCHABLE:
            raise invalid(name, "this field cannot be changed")
    return await flows.edit(
        app_context,
        key,
        lambda document: {**document, **changes},
        structure=bool(_STRUCTURE & changes.keys()),
    )


@router.delete("/{flow_id}")
async def delete(app_context: ContextParam, key: NativeFlow) -> Json:
    """Delete a flow that is not active."""
    await flows.delete(app_context, key)
    return {"flow_id": str(key.flow_id), "deleted": True}


@router.put("/{flow_id}/triggers")
async def put_triggers(
    app_context: ContextParam, key: NativeFlow, _body: Triggers, request: Request
) -> Json:
    """Replace all triggers."""
    return await with_counts(app_context, await change(app_context, key, await request.json()))


@router.post("/{flow_id}/activate")
async def activate(app_context: ContextParam, key: NativeFlow) -> Json:
    """Let a complete flow enroll and move contacts."""
    return await with_counts(app_context, await lifecycle.activate(app_context, key))


@router.post("/{flow_id}/pause")
async def pause(app_context: ContextParam, key: NativeFlow) -> Json:
    """Stop new work without dropping anyone."""
    return await with_counts(app_context, await lifecycle.pause(app_context, key))


@router.post("/{flow_id}/archive")
async def archive(app_context: ContextParam, key: NativeFlow) -> Json:
    """End a flow that is not active, for good."""
    return await with_counts(app_context, await lifecycle.archive(app_context, key))
