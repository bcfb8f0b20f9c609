"""`/v1/email-flows/{flow_id}/contacts` and `/members`: who is in a flow, and how they fare."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import serializers
from services.api.native.flows import NativeFlow
from services.api.native.render import document_of
from services.api.store import memberships as store
from services.api.store import refusals
from services.api.store.flows import StoredFlow
from services.api.use_cases import flows, member_lists, memberships
from services.api.use_cases.member_lists import MemberQuery
from services.api.use_cases.problems import membership_not_found

router = APIRouter(tags=["members"])
Json = dict[str, Any]


class Enrollment(BaseModel):
    """Values for the merge tags of this membership."""

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

    def query(self) -> MemberQuery:
        """Write it in the words of the use case."""
        asked = {name: getattr(self, name) for name in MemberFilter.__slots__}
        return MemberQuery(**{name: None if one == "any" else one for name, one in asked.items()})


@router.post("/v1/email-flows/{flow_id}/contacts/{contact_id}", status_code=201)
async def enroll(
    app_context: ContextParam,
    key: NativeFlow,
    contact_id: UUID,
    body: Enrollment | None = None,
) -> Json:
    """Enroll a contact into an active flow by hand."""
    context = body.dynamic_context if body else {}
    entered = await memberships.enroll(app_context, key, contact_id, context)
    return {"membership": serializers.membership(entered)}


@router.delete("/v1/email-flows/{flow_id}/contacts/{contact_id}", response_model=None)
async def remove(app_context: ContextParam, key: NativeFlow, contact_id: UUID) -> Json | Response:
    """Drop the contact's current membership; 204 if there is none."""
    dropped = await memberships.remove(app_context, key, contact_id)
    return {"membership": serializers.membership(dropped)} if dropped else Response(status_code=204)


@router.get("/v1/email-flows/{flow_id}/members")
async def list_members(
    app_context: ContextParam,
    key: NativeFlow,
    page: Annotated[Page, Depends()],
    wanted: Annotated[MemberFilter, Depends()],
) -> Json:
    """List the members of a flow, newest first."""
    flow = await flows.read(app_context, key)
    found = await member_lists.page(app_context.pool, key.flow_id, wanted.query(), page.window)
    members = [serializers.member(one, _steps(flow)) for one in found.members]
    return page.listed("members", members, found.total, exact=found.total_is_exact)


@router.get("/v1/email-flows/{flow_id}/members/{membership_id}")
async def member_details(app_context: ContextParam, key: NativeFlow, membership_id: UUID) -> Json:
    """Give all of one membership, with its timeline."""
    flow = await flows.read(app_context, key)
    found = await store.read(app_context.pool, key.workspace_id, key.flow_id, membership_id)
    if found is None:
        raise membership_not_found()
    return {"membership": serializers.member_details(found, _steps(flow))}


@router.get("/v1/refusals")
async def list_refusals(
    app_context: ContextParam,
    workspace: Workspace,
    page: Annotated[Page, Depends()],
    flow_id: UUID | None = None,
    contact_id: UUID | None = None,
) -> Json:
    """Say why contacts did not get into flows, newest first."""
    query = {"workspace_id": workspace, "flow_id": flow_id, "contact_id": contact_id}
    found, total = await refusals.page(app_context.pool, **query, **page.query())
    return page.listed("refusals", [serializers.refusal(one) for one in found], total)


def _steps(flow: StoredFlow) -> dict[str, Json]:
    return {step["step_id"]: step for step in document_of(flow).get("steps", [])}
