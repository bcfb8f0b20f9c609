"""`/v1/email-flows/{flow_id}/contacts` and `/members`: who is in a flow, and how they fare."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.store import runs
from services.api.store.flows import StoredFlow
from services.api.use_cases import flows, members
from services.api.use_cases.problems import Problem

router = APIRouter(tags=["members"])
Json = dict[str, Any]


class Enrollment(BaseModel):
    """Values for the merge tags of this run."""

    model_config = ConfigDict(extra="forbid")

    dynamic_context: Json = {}


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which members to list."""

    status: Literal["active", "waiting", "completed", "dropped", "any"] = "any"
    run_status: Literal["in_flow", "completed", "failed", "exited_flow", "any"] = "any"
    entered_from: AwareDatetime | None = None
    entered_to: AwareDatetime | None = None
    exited_from: AwareDatetime | None = None
    exited_to: AwareDatetime | None = None

    def query(self) -> Json:
        """Write it as the store takes it: None asks for all."""
        asked = {name: getattr(self, name) for name in MemberFilter.__slots__}
        return {name: None if value == "any" else value for name, value in asked.items()}


@router.post("/v1/email-flows/{flow_id}/contacts/{contact_id}", status_code=201)
async def enroll(
    app_context: ContextParam,
    workspace: Workspace,
    flow_id: UUID,
    contact_id: UUID,
    body: Enrollment | None = None,
) -> Json:
    """Enroll a contact into an active flow by hand."""
    context = body.dynamic_context if body else {}
    run = await members.enroll(app_context, workspace, flow_id, contact_id, context)
    return {"membership": serializers.membership(run)}


@router.delete("/v1/email-flows/{flow_id}/contacts/{contact_id}", response_model=None)
async def remove(
    app_context: ContextParam, workspace: Workspace, flow_id: UUID, contact_id: UUID
) -> Json | Response:
    """Drop the contact's current run; 204 if there is none."""
    run = await members.remove(app_context, workspace, flow_id, contact_id)
    return {"membership": serializers.membership(run)} if run else Response(status_code=204)


@router.get("/v1/email-flows/{flow_id}/members")
async def list_members(
    app_context: ContextParam,
    workspace: Workspace,
    flow_id: UUID,
    page: Annotated[Page, Depends()],
    wanted: Annotated[MemberFilter, Depends()],
) -> Json:
    """List the members of a flow, newest first."""
    flow = await flows.read(app_context, workspace, flow_id)
    found, total = await runs.page(
        app_context.pool,
        workspace_id=workspace,
        flow_id=flow_id,
        at_most=page.limit,
        skip=page.skip,
        **wanted.query(),
    )
    return {
        "members": [serializers.member(one, _steps(flow)) for one in found],
        "pagination": page.pagination(total),
    }


@router.get("/v1/email-flows/{flow_id}/members/{membership_id}")
async def run_details(
    app_context: ContextParam, workspace: Workspace, flow_id: UUID, membership_id: UUID
) -> Json:
    """Give one member's whole run, with its timeline."""
    flow = await flows.read(app_context, workspace, flow_id)
    found = await runs.read(app_context.pool, workspace, flow_id, membership_id)
    if found is None:
        raise Problem("not_found", "campaign_flow_membership_not_found", "Membership not found")
    return {"membership": serializers.run_details(found, _steps(flow))}


@router.get("/v1/refusals")
async def list_refusals(
    app_context: ContextParam,
    workspace: Workspace,
    page: Annotated[Page, Depends()],
    flow_id: UUID | None = None,
    contact_id: UUID | None = None,
) -> Json:
    """Say why contacts did not get into flows, newest first."""
    found, total = await runs.refusals(
        app_context.pool,
        workspace_id=workspace,
        flow_id=flow_id,
        contact_id=contact_id,
        at_most=page.limit,
        skip=page.skip,
    )
    return {
        "refusals": [
            {
                "flow_id": str(one["flow_id"]),
                "contact_id": str(one["contact_id"]),
                "reason": one["reason"],
                "entry_source": one["entry_source"],
                "source_id": one["source_id"],
                "refused_at": serializers.instant(one["refused_at"]),
            }
            for one in found
        ],
        "pagination": page.pagination(total),
    }


def _steps(flow: StoredFlow) -> dict[str, Json]:
    return {step["step_id"]: step for step in flow.content.get("steps", [])}
