"""Editing the steps of a flow one by one (services/api/native/README.md, "Steps").

Edges are never rewired, except where a deletion asks for it. Which edges a step has, and where in
its document they stand, the step itself says.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from libs.domain.flow import AnyStep
from libs.domain.step import Step
from services.api.store.flows import Change, StoredFlow
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.content import read_content
from services.api.use_cases.flows import check_editable, lock, save
from services.api.use_cases.problems import Problem, invalid, step_not_found

Steps = list[dict[str, Any]]
STEP: TypeAdapter[Step] = TypeAdapter(AnyStep)
"""Reads the document of a step."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a step goes: at the start or the end, or beside another one."""

    at_start: bool = False
    before_step_id: str | None = None
    after_step_id: str | None = None


async def edit(
    app_context: AppContext, workspace_id: UUID, flow_id: UUID, change: Callable[[Steps], Steps]
) -> StoredFlow:
    """Change the list of steps.

    Raises:
        Problem: If there is no such flow, it may not be edited now, or the result is wrong.
    """
    async with app_context.relay.unit() as unit:
        flow = await lock(unit, workspace_id, flow_id)
        check_editable(flow, structure=True)
        content = {**flow.content, "steps": change(flow.content.get("steps", []))}
        read_content(content)
        return await save(app_context, unit, flow, Change(content=content))


def inserted(steps: Steps, step: dict[str, Any], placement: Placement) -> Steps:
    """Insert a step.

    Raises:
        Problem: If the step beside which it is to go does not exist.
    """
    if placement.before_step_id is not None:
        at = _index(steps, placement.before_step_id)
    elif placement.after_step_id is not None:
        at = _index(steps, placement.after_step_id) + 1
    else:
        at = 0 if placement.at_start else len(steps)
    return [*steps[:at], step, *steps[at:]]


def merged(steps: Steps, step_id: str, partial: Mapping[str, Any]) -> Steps:
    """Merge a partial update into a step; null takes an optional field away.

    Raises:
        Problem: If there is no such step, or its id or type would change.
    """
    at = _index(steps, step_id)
    for fixed in ("step_id", "type"):
        if fixed in partial and partial[fixed] != steps[at][fixed]:
            raise invalid(f"step.{fixed}", "this field cannot be changed")
    # An edge that is null leads nowhere; one that is not there may fall back to another.
    kept = set(_edges(steps[at]))
    taken_away = {name for name, value in partial.items() if value is None} - kept
    step = {**steps[at], **partial}
    merged_step = {name: value for name, value in step.items() if name not in taken_away}
    return [*steps[:at], merged_step, *steps[at + 1 :]]


def without(steps: Steps, step_id: str, repair: Mapping[str, Any] | None) -> Steps:
    """Delete a step; `repair` holds the step that takes over its incoming edges, or null.

    Raises:
        Problem: If there is no such step, or others point to it and nothing repairs that.
    """
    at = _index(steps, step_id)
    rest = copy.deepcopy([*steps[:at], *steps[at + 1 :]])
    pointing = [
        (step, path) for step in rest for path in _edges(step) if _look_up(step, path) == step_id
    ]
    if pointing and repair is None:
        message = f"Step {step_id} is still referenced by other steps"
        raise Problem("conflict", "campaign_flow_step_referenced", message)
    replacement = (repair or {}).get("replace_with_step_id")
    if replacement == step_id:
        raise invalid("repair_edges.replace_with_step_id", "this is the step to be deleted")
    if replacement is not None:
        _index(rest, replacement)
    for step, path in pointing:
        _replace(step, path, replacement)
    return rest


def _edges(step: Mapping[str, Any]) -> list[str]:
    """Say where in a step's document its edges stand, as `next_step_id`, `arms.0.next_step_id`."""
    return [edge.path for edge in STEP.validate_python(step).edges()]


def _look_up(document: Any, path: str) -> Any:
    """Give what stands at a path; None if there is nothing."""
    for part in path.split("."):
        document = document[int(part)] if isinstance(document, list) else document.get(part)
    return document


def _replace(document: Any, path: str, value: Any) -> None:
    """Put something else where something stands."""
    parent, _, last = path.rpartition(".")
    holder = _look_up(document, parent) if parent else document
    holder[int(last) if isinstance(holder, list) else last] = value


def _index(steps: Steps, step_id: str) -> int:
    for index, step in enumerate(steps):
        if step.get("step_id") == step_id:
            return index
    raise step_not_found(step_id)
