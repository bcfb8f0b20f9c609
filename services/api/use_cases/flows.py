"""Flows: create, read, list, change, delete."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.exactly_once.relay import Unit
from libs.contracts.flow_definitions import FlowDefined
from libs.domain.flow import Flow, FlowStatus
from libs.domain.rules import CustomFieldCondition, nodes_of
from services.api.store import directory, flows
from services.api.store.flows import Change, Content, StoredFlow
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.content import read_content
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
        change = Change(
            content=content, status=flow.status, published=active, now=app_context.clock.now()
        )
        changed = await flows.change(unit.tx, flow, change)
        if active:
            await say(app_context, unit, changed, reply=False)
        return changed


async def delete(app_context: AppContext, workspace_id: UUID, flow_id: UUID) -> None:
    """Delete a flow; its members are dropped. An active one must be paused first.

    Raises:
        Problem: If there is no such flow, or it is active.
    """
    async with app_context.relay.unit() as unit:
        flow = await lock(unit, workspace_id, flow_id)
        if flow.status is FlowStatus.ACTIVE:
            raise wrong_state("Pause the flow before deleting it")
        change = Change(
            content=flow.content,
            status=FlowStatus.DELETED,
            published=True,
            now=app_context.clock.now(),
        )
        deleted = await flows.change(unit.tx, flow, change)
        if flow.published_version:
            await say(app_context, unit, deleted, reply=False)


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
    """See that a flow may be edited (seed 003: structure only while draft or paused).

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


async def say(app_context: AppContext, unit: Unit, flow: StoredFlow, *, reply: bool) -> None:
    """Publish a definition with the transaction that made it."""
    content = read_content(flow.content)
    defined = await directory.custom_field_definitions(unit.tx, flow.workspace_id)
    rules = [step.rule() for step in content.steps] + [content.disqualification_rules]
    named = {
        node.field_definition_id
        for rule in rules
        if rule is not None
        for node, _ in nodes_of(rule)
        if isinstance(node, CustomFieldCondition)
    }
    whole = Flow.model_validate(
        {
            **flow.content,
            "flow_id": flow.flow_id,
            "workspace_id": flow.workspace_id,
            "version": flow.version,
            "status": flow.status,
            "custom_fields": {field: defined[field] for field in named if field in defined},
        }
    )
    unit.enqueue(
        FlowDefined(
            id=uuid4(),
            time=app_context.clock.now(),
            workspace_id=flow.workspace_id,
            flow=whole,
            reply=reply,
        )
    )
