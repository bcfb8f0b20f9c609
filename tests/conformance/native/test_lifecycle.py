"""Activate, pause, archive, delete: when each may be, what it needs and what it does."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.native import (
    FLOWS,
    IN_ROME,
    OUT,
    WAIT,
    Json,
    a_draft,
    active,
    code,
    enter,
    issue,
    members,
    new_contact,
    new_email,
    new_list,
    readiness,
    refused,
    told,
)
from tests.support.waiting import wait_until

EDITS: dict[str, Any] = {
    "name": "Renamed",
    "description": "d",
    "settings": {"x": 1},
    "disqualification_rules": IN_ROME,
    "reentry_policy": "no_reentry",
    "triggers": [],
    "steps": [WAIT],
}
STRUCTURE = {"reentry_policy", "triggers", "steps"}
AGAIN = (409, "campaign_invalid_state_transition")
LOCKED = (409, "campaign_not_editable")


def in_status(api: httpx.Client, status: str) -> str:
    """Create a flow and bring it to a status; give its path."""
    if status == "draft":
        return a_draft(api, steps=[WAIT])
    path = active(api)
    for verb in {"active": (), "paused": ("pause",), "archived": ("pause", "archive")}[status]:
        told(api.post(f"{path}/{verb}"))
    return path


@pytest.mark.parametrize("field", EDITS)
@pytest.mark.parametrize("status", ["draft", "active", "paused", "archived"])
def test_what_may_be_edited_when(api: httpx.Client, status: str, field: str) -> None:
    """PATCH: structure only in a draft or paused; nothing of an archived flow."""
    path = in_status(api, status)
    before = told(api.get(path))
    answer = api.patch(path, json={field: EDITS[field]})
    if status == "archived" or (status == "active" and field in STRUCTURE):
        assert code(answer) == LOCKED
        assert told(api.get(path)) == before
    else:
        after = told(answer)
        assert (after[field], after["status"]) == (EDITS[field], status)
        assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("draft", {"activate": "active", "archive": "archived"}),
        ("active", {"pause": "paused"}),
        ("paused", {"activate": "active", "archive": "archived"}),
        ("archived", {}),
    ],
)
@pytest.mark.parametrize("verb", ["activate", "pause", "archive"])
def test_transitions(api: httpx.Client, status: str, allowed: dict[str, str], verb: str) -> None:
    path = in_status(api, status)
    answer = api.post(f"{path}/{verb}")
    if verb not in allowed:
        assert code(answer) == AGAIN
        assert told(api.get(path))["status"] == status
        return
    flow = told(answer)
    assert flow["status"] == allowed[verb]
    assert (flow["archived_at"] is not None) is (verb == "archive")
    assert told(api.get(path)) == flow


@pytest.mark.parametrize("status", ["draft", "active", "paused", "archived"])
def test_deletion(api: httpx.Client, status: str) -> None:
    """DELETE: an active flow must be paused first; a deleted one is not found."""
    path = in_status(api, status)
    if status == "active":
        assert code(api.delete(path)) == AGAIN
        told(api.post(f"{path}/pause"))
    assert told(api.delete(path)) == {"flow_id": path.rsplit("/", 1)[1], "deleted": True}
    for answer in (api.get(path), api.delete(path), api.post(f"{path}/activate")):
        assert code(answer) == (404, "campaign_not_found")


def test_activation_with_incomplete_config_names_what_is_missing(api: httpx.Client) -> None:
    send = {"step_id": "s", "type": "send_email", "email_id": new_email(api, approved=False)}
    triggers = [{"type": "added_to_static_list", "list_id": new_list(api)}]
    answer = api.post(f"{a_draft(api, steps=[send], triggers=triggers)}/activate")
    assert (answer.status_code, answer.json()) == (400, {
        "error": "Triggered flow is missing required activation fields: "
                 "flow_nodes.0.email_approval",
        "error_code": "campaign_flow_not_ready",
        "details": {"activation_readiness": {
            "ready": False, "missing": ["flow_nodes.0.email_approval"], "warnings": []}},
    })  # fmt: skip
    assert list(answer.json()) == ["error", "error_code", "details"]


def test_everything_missing_is_told_at_once(api: httpx.Client) -> None:
    triggers = [{"type": "added_to_static_list"}, {"type": "contact_updated"}]
    steps = [
        {"step_id": "a", "type": "send_email", "next_step_id": "nowhere"},
        {"step_id": "b", "type": "wait"},
        {"step_id": "c", "type": "add_to_list"},
    ]
    answer = api.post(f"{a_draft(api, steps=steps, triggers=triggers)}/activate")
    missing = ["triggers.0.list_id", "triggers.1.field", "flow_nodes.0.email_id",
               "flow_nodes.0.next_step_id", "flow_nodes.1.wait",
               "flow_nodes.2.list_id"]  # fmt: skip
    assert answer.json()["details"]["activation_readiness"]["missing"] == missing
    assert answer.json()["error"].endswith(f": {', '.join(missing)}")


def test_a_way_round_without_a_wait_refuses_activation(api: httpx.Client) -> None:
    until: Json = {"step_id": "u", "type": "wait", "condition": IN_ROME}
    check = {"step_id": "c", "type": "condition_check", "condition": IN_ROME, "true_step_id": "u"}
    path = a_draft(api, steps=[{**until, "next_step_id": "c"}, check])
    assert readiness(api, path)["missing"] == ["flow_nodes.0.cycle", "flow_nodes.1.cycle"]
    wait = {**WAIT, "next_step_id": "u"}
    told(api.put(f"{path}/steps", json={"steps": [
        {**until, "next_step_id": "c"}, {**check, "true_step_id": "w"}, wait]}))  # fmt: skip
    told(api.post(f"{path}/activate"))


def test_what_only_deserves_a_look_is_a_warning(api: httpx.Client) -> None:
    """Unreachable steps, branches that go nowhere, waits without an end, no text, no trigger."""
    silent = new_email(api, text="")
    steps: list[Json] = [
        {"step_id": "s", "type": "send_email", "email_id": silent, "next_step_id": "u"},
        {"step_id": "u", "type": "wait", "condition": IN_ROME, "next_step_id": "c"},
        {"step_id": "c", "type": "condition_check", "condition": IN_ROME},
        {"step_id": "stray", "type": "update_contact", "field": "city", "value": "Rome"},
    ]
    path = a_draft(api, steps=[*steps, {"step_id": "w", "type": "wait"}])
    found = readiness(api, path)
    assert found["missing"] == ["flow_nodes.4.wait"]
    assert found["warnings"] == [
        "triggers", "flow_nodes.0.email_plain_text", "flow_nodes.1.timeout_amount",
        "flow_nodes.2.branch", "flow_nodes.3.unreachable", "flow_nodes.4.unreachable",
    ]  # fmt: skip
    told(api.put(f"{path}/steps", json={"steps": steps}))
    told(api.post(f"{path}/activate"))


def test_the_first_step_of_the_list_is_the_entry(api: httpx.Client) -> None:
    path = a_draft(api, steps=[OUT, WAIT, {"step_id": "x", "type": "wait"}])
    warnings = readiness(api, path)["warnings"]
    assert warnings == ["triggers", "flow_nodes.1.unreachable", "flow_nodes.2.unreachable"]
    path = active(api, steps=[WAIT, OUT])
    assert enter(api, path, new_contact(api))["current_step_id"] == "w"


def test_pausing_drops_nobody_and_archiving_everybody(api: httpx.Client) -> None:
    path, contact_id = active(api), new_contact(api)
    membership = enter(api, path, contact_id)
    told(api.post(f"{path}/pause"))
    assert code(api.post(f"{path}/contacts/{new_contact(api)}")) == (
        409, "campaign_flow_not_active",
    )  # fmt: skip
    told(api.post(f"{path}/activate"))
    wait_until(lambda: members(api, path) != [], "the member is listed", 30)
    (member,) = members(api, path)
    assert (member["membership_id"], member["status"]) == (membership["membership_id"], "waiting")
    told(api.post(f"{path}/pause"))
    told(api.post(f"{path}/archive"))
    wait_until(lambda: members(api, path, status="dropped") != [], "the member is dropped", 30)
    assert members(api, path)[0]["drop_reason"] == "flow_archived"


def test_a_list_member_of_before_does_not_enter(api: httpx.Client) -> None:
    """Triggers fire on new events only."""
    before, after, list_id = new_contact(api), new_contact(api), new_list(api)
    told(api.post(f"/v1/lists/{list_id}/contacts/{before}"))
    path = active(api, triggers=[{"type": "added_to_static_list", "list_id": list_id}])
    told(api.post(f"/v1/lists/{list_id}/contacts/{after}"))
    wait_until(lambda: members(api, path) != [], "the new one enters", 30)
    (member,) = members(api, path)
    assert (member["contact_id"], member["entry_source"]) == (after, "added_to_static_list")


def test_what_cannot_be_patched_is_refused_by_name(api: httpx.Client) -> None:
    path = a_draft(api)
    for field in ("status", "flow_id", "type", "details", "created_at", "colour"):
        assert issue(api.patch(path, json={field: "active"})) == refused(field)
    assert told(api.patch(path, json={}))["status"] == "draft"
    assert issue(api.patch(path, json=[])) == refused("body")


def test_wrong_addresses(api: httpx.Client) -> None:
    for verb in ("activate", "pause", "archive"):
        assert code(api.post(f"{FLOWS}/{uuid4()}/{verb}")) == (404, "campaign_not_found")
        assert issue(api.post(f"{FLOWS}/not-a-uuid/{verb}")) == refused("flow_id")
