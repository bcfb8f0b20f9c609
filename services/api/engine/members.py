"""`/v1/flows/{flow_id}/members`: who is in a flow; entering and leaving by hand."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict

from services.api.engine import serializers
from services.api.engine.documents import ENGINE
from services.api.engine.flows import FlowParam
from services.api.http.keys import ContextParam
from services.api.http.paging import Page
from services.api.store import memberships as store
from services.api.use_cases import flows, member_lists, memberships
from services.api.use_cases.member_lists import MemberQuery
from services.api.use_cases.problems import membership_not_found

router = APIRouter(prefix=f"{ENGINE.path}/{{flow_id}}/members", tags=["members"])
Json = dict[str, Any]


class Enrollment(BaseModel):
    """Who enters, with values for the merge tags of this membership."""

    model_config = ConfigDict(extra="forbid")

    contact_id: UUID
    dynamic_context: Json = {}


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which members to list."""

    status: Literal["active", "waiting", "completed", "dropped"] | None = None
    run_status: Literal["in_flow", "completed", "failed", "exited_flow"] | None = None
    entered_from: AwareDatetime | None = None
    entered_to: AwareDatetime | None = None
    exited_from: AwareDatetime | None = None
    exited_to: AwareDatetime | None = None

    def query(self) -> MemberQuery:
        """Write it in the words of the use case."""
        return MemberQuery(**{name: getattr(self, name) for name in MemberFilter.__slots__})


@router.post("", status_code=201)
async def enroll(app_context: ContextParam, key: FlowParam, body: Enrollment) -> Json:
    """Enroll a contact into an active flow by hand."""
    context = body.dynamic_context
    entered = await memberships.enroll(app_context, key, body.contact_id, context)
    return serializers.membership(entered)


@router.delete("/by-contact/{contact_id}", response_model=None)
async def remove(app_context: ContextParam, key: FlowParam, contact_id: UUID) -> Json | Response:
    """Drop the contact's current membership; 204 if there is none."""
    dropped = await memberships.remove(app_context, key, contact_id)
    return serializers.membership(dropped) if dropped else Response(status_code=204)


@router.get("")
async def list_members(
    app_context: ContextParam,
    key: FlowParam,
    page: Annotated[Page, Depends()],
    wanted: Annotated[MemberFilter, Depends()],
) -> Json:
    """List the members of a flow, newest first."""
    await flows.read(app_context, key)
    found = await member_lists.page(app_context.pool, key.flow_id, wanted.query(), page.window)
    members = [serializers.listed(one) for one in found.members]
    return page.listed("members", members, found.total, exact=found.total_is_exact)


@router.get("/{membership_id}")
async def read(app_context: ContextParam, key: FlowParam, membership_id: UUID) -> Json:
    """Give all of one membership, with its timeline."""
    await flows.read(app_context, key)
    found = await store.read(app_context.pool, key.workspace_id, key.flow_id, membership_id)
    if found is None:
        raise membership_not_found()
    return serializers.member(found)
