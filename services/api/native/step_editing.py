"""Editing the steps of a document one by one (README.md, "Steps").

Edges are never rewired, except where a deletion asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.api.native.wire_steps import EDGE_FIELDS
from services.api.use_cases.problems import Problem, invalid, step_not_found

Steps = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a step goes: at the start or the end, or beside another one."""

    at_start: bool = False
    before_step_id: str | None = None
    after_step_id: str | None = None


def step_of(steps: Steps, step_id: str) -> dict[str, Any]:
    """Find a step.

    Raises:
        Problem: If there is no such step.
    """
    return steps[_index(steps, step_id)]


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
    empty = {name for name, value in partial.items() if value is None}
    taken_away = empty - _edges(steps[at])
    step = {**steps[at], **partial}
    merged_step = {name: value for name, value in step.items() if name not in taken_away}
    return [*steps[:at], merged_step, *steps[at + 1 :]]


def without(steps: Steps, step_id: str, repair: Mapping[str, Any] | None) -> Steps:
    """Delete a step; `repair` holds the step that takes over its incoming edges, or null.

    Raises:
        Problem: If there is no such step, or others point to it and nothing repairs that.
    """
    at = _index(steps, step_id)
    rest = [dict(step) for step in (*steps[:at], *steps[at + 1 :])]
    pointing = [
        (step, field) for step in rest for field in _edges(step) if step.get(field) == step_id
    ]
    if pointing and repair is None:
        message = f"Step {step_id} is still referenced by other steps"
        raise Problem("conflict", "step_referenced", message)
    replacement = (repair or {}).get("replace_with_step_id")
    if replacement == step_id:
        raise invalid("repair_edges.replace_with_step_id", "this is the step to be deleted")
    if replacement is not None:
        _index(rest, replacement)
    for step, field in pointing:
        step[field] = replacement
    return rest


def _edges(step: Mapping[str, Any]) -> frozenset[str]:
    """Name the fields in which a step's edges stand."""
    return EDGE_FIELDS.get(step["type"], frozenset())


def _index(steps: Steps, step_id: str) -> int:
    for index, step in enumerate(steps):
        if step.get("step_id") == step_id:
            return index
    raise step_not_found(step_id)
