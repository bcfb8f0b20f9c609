"""From the engine's definition to a native document: the inverse of `compile`.

So flows of other homes are shown (README.md, "Flows"). A document that was rendered is compiled
again. Only if that gives the definition it was made of can the native dialect express the flow:
what it has no words for, or narrower limits, is never shown as something else.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from libs.domain.flow import Definition
from services.api.native import rules
from services.api.native.compile import REENTRY, compile_document
from services.api.native.wire_steps import KINDS
from services.api.store.flows import StoredFlow
from services.api.use_cases.problems import Problem

Json = dict[str, Any]
NAME = "native"
_RULE: TypeAdapter[Any] = TypeAdapter(rules.Rule)
_REENTRY = {meant: written for written, meant in REENTRY.items()}
_ENGINE_ONLY = frozenset({"source", "field_type"})
"""What the engine can say of the field of a trigger, and this dialect can leave unsaid alone."""
_OPERATIONS: Mapping[str, Json] = {
    "set": {},
    "clear": {},
    "set_if_empty": {"write_mode": "skip_if_filled"},
}


def render(definition: Json, written: Json) -> Json | None:
    """Write a flow of another home as a native document; None if this dialect cannot express it.

    Args:
        definition: What it was compiled to, as it is stored.
        written: Its document at home: of that come the description and the settings.
    """
    try:
        document = rendered(definition, written)
        same = _meaning(compile_document(document)) == _meaning(
            Definition.model_validate(definition)
        )
    except (Problem, LookupError, TypeError, ValueError):
        return None
    return document if same else None


def rendered(definition: Json, written: Json) -> Json:
    """Write a definition that the native dialect can express as a document.

    Raises:
        LookupError: If it cannot. TypeError and ValueError say the same.
    """
    document: Json = {
        "name": definition["name"],
        "description": written.get("description"),
        "reentry_policy": _REENTRY[definition.get("reentry", "always")],
        "triggers": [_trigger(one) for one in definition.get("triggers", [])],
        "steps": [_step(one) for one in definition.get("steps", [])],
        "settings": written.get("settings", {}),
    }
    if guards := definition.get("guards"):
        (guard,) = guards
        document["disqualification_rules"] = _rule(guard["rule"])
    return document


def document_of(flow: StoredFlow) -> Json:
    """Give the document of a flow that this dialect can show, whatever its home."""
    if flow.dialect == NAME:
        return flow.document
    return rendered(flow.definition, flow.document)


def _meaning(definition: Definition) -> Json:
    """Give what a definition says; the name of a trigger only tells what it has caused."""
    whole = definition.model_dump(mode="json")
    for trigger in whole["triggers"]:
        trigger.pop("trigger_id")
    return whole


def _rule(rule: Json) -> Json:
    """Read a tree as the engine names its keys, write it as the native dialect does."""
    read = _RULE.validate_python(rule, by_name=True, by_alias=False)
    native: Json = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return native


def _trigger(trigger: Json) -> Json:
    if trigger["type"] == "date_based":
        return _date_based(trigger)
    unsaid = {name for name in _ENGINE_ONLY if trigger.get(name) is None}
    return {name: value for name, value in trigger.items() if name not in {*unsaid, "trigger_id"}}


def _date_based(trigger: Json) -> Json:
    offset = trigger.get("offset_days", 0)
    mode: Json = {}
    if offset is not None and offset != 0:
        side = "before" if offset < 0 else "after"
        mode = {"mode": f"{side}_date", f"days_{side}": abs(offset)}
    elif offset == 0:
        mode = {"mode": "on_date"}
    document = {
        "type": "date_based",
        "field": trigger.get("field"),
        **mode,
        "include_anniversaries": {"never": False, "annually": True}[
            trigger.get("recurrence", "never")
        ],
        "trigger_time": trigger.get("time", "09:00"),
        "timezone": trigger.get("zone", "UTC"),
    }
    return {name: value for name, value in document.items() if value is not None}


def _step(step: Json) -> Json:
    kind = KINDS[step["type"]]
    names = {meant: written for written, meant in kind.engine_names.items()}
    document = {names.get(name, name): value for name, value in step.items() if name != "edges"}
    if document.get("condition") is not None:
        document["condition"] = _rule(document["condition"])
    if "operations" in document:
        document["updates"] = [_update(one) for one in document.pop("operations")]
    if lists := document.pop("list_ids", None):
        (document["list_id"],) = lists
    edges = {kind.edge_fields[edge]: target for edge, target in step.get("edges", {}).items()}
    return document | edges


def _update(operation: Json) -> Json:
    written = _OPERATIONS[operation.get("op", "set")]
    return {"field": operation["field"], "value": operation.get("value"), **written}
