"""Flows: create, read, list, change, delete."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.exactly_once.relay import Unit
from libs.contracts.flow_definitions import FlowDefined
from libs.domain.flow import Flow, FlowContent, FlowStatus
from libs.domain.rules import CustomFieldCondition, nodes_of
from services.api.store import directory, flows
from services.api.store.flows import Change, Content, StoredFlow
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.content import read_content, stored_content
from services.api.use_cases.problems import Problem, flow_not_found, invalid

_STRUCTURE = frozenset({"triggers", "steps", "reentry_policy"})
_PATCHABLE = _STRUCTURE | {"name", "description", "disqualification_rules", "settings"}


async def create(app_context: AppContext, workspace_id: UUID, content: Content) -> StoredFlow:
    """Create a draft.

    Raises:
        Problem: If its format is wrong.
    """
    read_content(content)
    async with app_context.relay.unit() as unit:
        return await flows.add(unit.tx, uuid4(), workspace_id, content, app_context.clock.now())


async def read(app_context: AppContext, workspace_id: UUID, flow_id: UUID) -> StoredFlow:
    """Read a flow.

    Raises:
        Problem: If there is none.
    """
    flow = await flows.read(app_context.pool, workspace_id, flow_id)
    if flow is None:
        raise flow_not_found()
    return flow


async def patch(
    app_context: AppContext, workspace_id: UUID, flow_id: UUID, changes: Mapping[str, Any]
) -> StoredFlow:
    """Change some fields; triggers and steps are replaced whole.

    On an active flow only name, description, settings and disqualification rules may change; the
    services hear of it at once, and members who match new rules are dropped.

    Raises:
        Problem: If there is no such flow, a field is wrong, or it may not change now.
    """
    for name in changes:
        if name not in _PATCHABLE:
            raise invalid(name, "this field cannot be changed")
    async with app_context.relay.unit() as unit:
        flow = await lock(unit, workspace_id, flow_id)
        check_editable(flow, structure=bool(_STRUCTURE & changes.keys()))
        content = {**flow.content, **changes}
        read_content(content)
        active = flow.status is FlowStatus.ACTIVE
        return await save(app_context, unit, flow, Change(content, published=active))


async def delete(app_context: AppContext, workspace_id: UUID, flow_id: UUID) -> None:
    """Delete a flow; its members are dropped. An active one must be paused first.

    Raises:
        Problem: If there is no such flow, or it is active.
    """
    async with app_context.relay.unit() as unit:
        flow = await lock(unit, workspace_id, flow_id)
        if flow.status is FlowStatus.ACTIVE:
            raise wrong_state("Pause the flow before deleting it")
        published = flow.published_version > 0
        change = Change(status=FlowStatus.DELETED, published=published)
        await save(app_context, unit, flow, change)


async def lock(unit: Unit, workspace_id: UUID, flow_id: UUID) -> StoredFlow:
    """Read a flow for a change.

    Raises:
        Problem: If there is none.
    """
    flow = await flows.lock(unit.tx, workspace_id, flow_id)
    if flow is None:
        raise flow_not_found()
    return flow


def check_editable(flow: StoredFlow, *, structure: bool) -> None:
    """See that a flow may be edited: its structure only while draft or paused.

    Raises:
        Problem: If it may not.
    """
    barred = flow.status is FlowStatus.ARCHIVED or (structure and flow.status is FlowStatus.ACTIVE)
    if barred:
        message = f"The flow is {flow.status}; pause it before editing its structure"
        raise Problem("conflict", "campaign_not_editable", message)


def wrong_state(message: str) -> Problem:
    """Say that a flow cannot go from its state to another."""
    return Problem("conflict", "campaign_invalid_state_transition", message)


async def save(
    app_context: AppContext, unit: Unit, flow: StoredFlow, change: Change, *, reply: bool = False
) -> StoredFlow:
    """Make the next version of a flow that was locked.

    If it is published, the services hear of it with the transaction that made it; with `reply` they
    are to say when they work by it.
    """
    now = app_context.clock.now()
    changed = await flows.change(unit.tx, flow, change, now)
    if change.published:
        unit.enqueue(await _definition(unit, changed, now, reply=reply))
    return changed


async def _definition(unit: Unit, flow: StoredFlow, now: datetime, *, reply: bool) -> FlowDefined:
    """Write what the services are told of a flow: all of it, and the custom fields it names."""
    fields = await directory.custom_field_definitions(unit.tx, flow.workspace_id)
    named = _custom_fields_of(stored_content(flow.content))
    whole = {
        **flow.content,
        "flow_id": flow.flow_id,
        "workspace_id": flow.workspace_id,
        "version": flow.version,
        "status": flow.status,
        "custom_fields": {field_id: fields[field_id] for field_id in named & fields.keys()},
    }
    return FlowDefined(
        id=uuid4(),
        time=now,
        workspace_id=flow.workspace_id,
        flow=Flow.model_validate(whole),
        reply=reply,
    )


def _custom_fields_of(content: FlowContent) -> set[UUID]:
    rules = [step.rule() for step in content.steps] + [content.disqualification_rules]
    return {
        node.field_definition_id
        for rule in rules
        if rule is not None
        for node, _ in nodes_of(rule)
        if isinstance(node, CustomFieldCondition)
    }
