"""The fields a flow is created with: each at its limits, echoed, refused beyond them by name."""

import json
from typing import Any

import httpx
import pytest

from tests.support.native import (
    FLOW_KEYS,
    FLOWS,
    IN_ROME,
    Json,
    create,
    issue,
    path_of,
    readiness,
    refused,
    told,
)

_TRIGGER: Json = {"type": "contact_created"}
_OF_A_RUN: Json = {"kind": "condition", "source": "email_step", "nodeId": "s", "metric": "opened",
                   "operator": "has_activity"}  # fmt: skip


def _waits(number: int) -> list[Json]:
    return [{"step_id": f"s{at}", "type": "wait"} for at in range(number)]


def _blob(size: int) -> Json:
    """Write settings of so many bytes, as JSON."""
    return {"blob": "x" * (size - len(json.dumps({"blob": ""})))}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "n"),
        ("name", "n" * 200),
        ("description", None),
        ("description", ""),
        ("description", "d" * 1000),
        ("reentry_policy", "allow"),
        ("reentry_policy", "no_reentry"),
        ("triggers", []),
        ("triggers", [_TRIGGER] * 25),
        ("steps", []),
        ("steps", _waits(100)),
        ("disqualification_rules", None),
        ("disqualification_rules", IN_ROME),
        ("settings", {}),
        ("settings", {"theme": {"dark": True, "sizes": [1, 2.5, None]}}),
        ("settings", _blob(16 * 1024)),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else None,
)
def test_what_a_field_takes_comes_back(api: httpx.Client, field: str, value: Any) -> None:
    flow = create(api, **{field: value})
    assert flow[field] == value
    assert told(api.get(path_of(flow)))[field] == value


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("name", "", "name"),
        ("name", "n" * 201, "name"),
        ("name", None, "name"),
        ("name", 7, "name"),
        ("description", "d" * 1001, "description"),
        ("description", 7, "description"),
        ("reentry_policy", "sometimes", "reentry_policy"),
        ("reentry_policy", None, "reentry_policy"),
        ("triggers", [_TRIGGER] * 26, "triggers"),
        ("triggers", None, "triggers"),
        ("triggers", {"type": "contact_created"}, "triggers"),
        ("triggers", ["contact_created"], "triggers.0"),
        ("steps", _waits(101), "steps"),
        ("steps", None, "steps"),
        ("steps", [7], "steps.0"),
        ("disqualification_rules", [], "disqualification_rules.kind"),
        ("disqualification_rules", _OF_A_RUN, "disqualification_rules"),
        ("settings", None, "settings"),
        ("settings", [], "settings"),
        ("settings", _blob(16 * 1024 + 1), "settings"),
        ("manual_membership_enabled", True, "manual_membership_enabled"),
        ("status", "active", "status"),
        ("colour", "red", "colour"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else None,
)
def test_what_a_field_does_not_take_is_refused_by_name(
    api: httpx.Client, field: str, value: Any, path: str
) -> None:
    flow = create(api)
    body = {"name": "n", field: value}
    assert issue(api.post(FLOWS, json=body)) == refused(path)
    assert issue(api.patch(path_of(flow), json={field: value})) == refused(path)
    assert told(api.get(path_of(flow))) == flow


def test_name_is_required_and_the_others_have_defaults(api: httpx.Client) -> None:
    assert issue(api.post(FLOWS, json={})) == refused("name")
    flow = create(api, name="Only a name")
    assert list(flow) == FLOW_KEYS
    at = flow["created_at"]
    assert len(at) == len("2026-07-02T09:00:00.000Z")
    assert at.endswith("Z")
    assert flow == {
        "flow_id": flow["flow_id"], "type": "triggered_flow", "name": "Only a name",
        "description": None, "status": "draft", "triggers": [], "steps": [],
        "disqualification_rules": None, "reentry_policy": "allow",
        "manual_membership_enabled": True, "settings": {},
        "details": {"total_entered": 0, "active_count": 0, "waiting_count": 0,
                    "completed_count": 0, "dropped_count": 0, "most_recent_entry_at": None},
        "archived_at": None, "created_at": at, "updated_at": at,
    }  # fmt: skip
    assert readiness(api, path_of(flow))["missing"] == ["flow_nodes"]
