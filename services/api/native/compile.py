"""From a native document to the engine's definition.

Steps and triggers keep their places in their lists, so a place in the definition is a place in the
document (see `phrasing`).
"""

from collections.abc import Mapping
from typing import Any

from libs.domain.flow import Definition, duplicates
from services.api.native.documents import FlowDocument
from services.api.native.rules import compiled
from services.api.use_cases.bodies import read_body
from services.api.use_cases.problems import Problem
from services.api.use_cases.trigger_ids import with_ids

Json = dict[str, Any]
REENTRY = {"allow": "always", "no_reentry": "once"}
"""The engine's word for each re-entry policy."""


def compile_document(document: Mapping[str, Any]) -> Definition:
    """Check a document and write it in the engine's language.

    Raises:
        Problem: If a field is wrong or unknown, or a step id stands twice.
    """
    read = read_body(FlowDocument, document)
    if twice := duplicates(step.step_id for step in read.steps):
        message = f"Duplicate step_id: {', '.join(twice)}"
        raise Problem("conflict", "duplicate_step_id", message)
    return Definition.model_validate(
        {
            "name": read.name,
            "triggers": list(with_ids(one.compiled() for one in read.triggers)),
            "steps": [step.compiled() for step in read.steps],
            "guards": _guards(read),
            "reentry": REENTRY[read.reentry_policy],
        }
    )


def _guards(read: FlowDocument) -> list[Json]:
    """Disqualification keeps out and drops who matches, whenever it is judged."""
    rule = read.disqualification_rules
    if rule is None:
        return []
    return [{"rule": compiled(rule), "wants": False}]
