"""The rows of "Common Errors", and every `error_code` flows have."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from libs.local.stack import Stack
from tests.support.native import (
    FLOWS,
    IN_ROME,
    OUT,
    WAIT,
    Json,
    a_draft,
    active,
    code,
    create,
    enter,
    issue,
    new_contact,
    new_email,
    new_list,
    path_of,
    refused,
    told,
)

KEYS = ["error", "error_code", "details"]


def body(answer: httpx.Response) -> Json:
    """Give the body of an error, which has one shape whatever is wrong."""
    wrong: Json = answer.json()
    assert list(wrong) == KEYS[: len(wrong)]
    assert isinstance(wrong["error"], str)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["X-Request-Id"]
    return wrong


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1,]", b"null", b"7", b'"x"', b"[]", b"\xff", b"{'name': 'n'}"]
)
def test_400_invalid_json_body(api: httpx.Client, content: bytes) -> None:
    """400: Invalid JSON body."""
    path = a_draft(api, steps=[WAIT])
    headers = {"Content-Type": "application/json"}
    for method, where in (
        ("POST", FLOWS),
        ("PATCH", path),
        ("PUT", f"{path}/triggers"),
        ("PUT", f"{path}/steps"),
        ("POST", f"{path}/steps"),
        ("PATCH", f"{path}/steps/w"),
        ("PUT", f"{path}/steps/w/email"),
    ):
        answer = api.request(method, where, content=content, headers=headers)
        assert (answer.status_code, body(answer)["error_code"]) == (400, "invalid_request"), where


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"triggers": [{"type": "contact_updated", "field": 7}]}, "triggers.0.field"),
        ({"steps": [{**WAIT, "duration_unit": "years"}]}, "steps.0.duration_unit"),
        ({"disqualification_rules": {**IN_ROME, "operator": "x"}},
         "disqualification_rules.operator"),
    ],
    ids=["trigger", "step", "rule"],
)  # fmt: skip
def test_400_malformed_config(api: httpx.Client, fields: Json, where: str) -> None:
    """400: malformed trigger, step or rule config."""
    answer = api.post(FLOWS, json={"name": "n", **fields})
    assert issue(answer) == refused(where)
    wrong = body(answer)
    (named,) = wrong["details"]["issues"]
    assert list(named) == ["path", "message"]
    assert wrong["error"] == f"Invalid request body: {where}: {named['message']}"


def test_400_the_id_belongs_to_something_else(api: httpx.Client) -> None:
    """400 `campaign_not_triggered_flow` is said of blasts, of which there are none here.

    So the id of anything that is no flow is one that nobody knows.
    """
    email_id, list_id, contact_id = new_email(api), new_list(api), new_contact(api)
    for other in (email_id, list_id, contact_id):
        assert code(api.get(f"{FLOWS}/{other}")) == (404, "campaign_not_found")


def test_400_activation_with_incomplete_config(api: httpx.Client) -> None:
    """400 `campaign_flow_not_ready`, with the missing fields."""
    answer = api.post(f"{a_draft(api)}/activate")
    wrong = body(answer)
    assert (answer.status_code, wrong["error_code"]) == (400, "campaign_flow_not_ready")
    found = wrong["details"]["activation_readiness"]
    assert list(found) == ["ready", "missing", "warnings"]
    assert found == {"ready": False, "missing": ["flow_nodes"], "warnings": ["triggers"]}
    sentence = "Triggered flow is missing required activation fields: flow_nodes"
    assert wrong["error"] == sentence


def test_400_contact_matches_the_disqualification_rules(api: httpx.Client) -> None:
    """400 `campaign_flow_contact_disqualified`."""
    path = active(api, disqualification_rules=IN_ROME)
    answer = api.post(f"{path}/contacts/{new_contact(api, city='Rome')}")
    assert code(answer) == (400, "campaign_flow_contact_disqualified")
    assert body(answer)["error"]


def test_401_missing_or_invalid_bearer_token(api: httpx.Client, stack: Stack) -> None:
    """401: no header, not a bearer token, an unknown key; whatever the address."""
    path = f"{stack.url}{a_draft(api)}"
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": stack.api_key},
        {"Authorization": f"Basic {stack.api_key}"},
        {"X-Api-Key": stack.api_key},
    ):
        for where in (f"{stack.url}{FLOWS}", path, f"{path}/members"):
            answer = httpx.get(where, headers=headers)
            assert answer.status_code == 401
            assert body(answer) == {"error": "Unauthorized", "error_code": "unauthorized"}
    assert httpx.get(path, headers={"authorization": f"bearer {stack.api_key}"}).is_success


CALLS: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "read": lambda api, path: api.get(path),
    "patch": lambda api, path: api.patch(path, json={"name": "n"}),
    "delete": lambda api, path: api.delete(path),
    "triggers": lambda api, path: api.put(f"{path}/triggers", json={"triggers": []}),
    "steps": lambda api, path: api.put(f"{path}/steps", json={"steps": []}),
    "insert": lambda api, path: api.post(f"{path}/steps", json={"step": OUT}),
    "merge": lambda api, path: api.patch(f"{path}/steps/w", json={"step": {"label": "x"}}),
    "remove step": lambda api, path: api.delete(f"{path}/steps/w"),
    "email": lambda api, path: api.put(f"{path}/steps/w/email", json={"source": "inline"}),
    "activate": lambda api, path: api.post(f"{path}/activate"),
    "pause": lambda api, path: api.post(f"{path}/pause"),
    "archive": lambda api, path: api.post(f"{path}/archive"),
    "enroll": lambda api, path: api.post(f"{path}/contacts/{uuid4()}"),
    "remove": lambda api, path: api.delete(f"{path}/contacts/{uuid4()}"),
    "members": lambda api, path: api.get(f"{path}/members"),
    "member": lambda api, path: api.get(f"{path}/members/{uuid4()}"),
}
"""Every call about one flow, with nothing wrong but the flow."""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_404_flow_does_not_exist(
    api: httpx.Client, call: Callable[[httpx.Client, str], httpx.Response]
) -> None:
    """404 `campaign_not_found`, in every call about one flow; a malformed id is 400."""
    answer = call(api, f"{FLOWS}/{uuid4()}")
    assert code(answer) == (404, "campaign_not_found")
    assert body(answer) == {"error": "Flow not found", "error_code": "campaign_not_found"}
    assert issue(call(api, f"{FLOWS}/not-a-uuid")) == refused("flow_id")


def test_404_step_does_not_exist(api: httpx.Client) -> None:
    """404 `campaign_flow_step_not_found`."""
    path = a_draft(api, steps=[WAIT])
    for answer in (
        api.patch(f"{path}/steps/nowhere", json={"step": {"label": "x"}}),
        api.delete(f"{path}/steps/nowhere"),
        api.post(f"{path}/steps", json={"step": OUT, "after_step_id": "nowhere"}),
        api.put(f"{path}/steps/nowhere/email", json={"source": "inline"}),
    ):
        assert code(answer) == (404, "campaign_flow_step_not_found")
        assert body(answer)["error"] == "Step nowhere not found"


def test_404_membership_or_contact_does_not_exist(api: httpx.Client) -> None:
    """404 `campaign_flow_membership_not_found`, `contact_not_found`."""
    path = active(api)
    answer = api.get(f"{path}/members/{uuid4()}")
    assert code(answer) == (404, "campaign_flow_membership_not_found")
    other = enter(api, active(api), new_contact(api))
    answer = api.get(f"{path}/members/{other['membership_id']}")
    assert code(answer) == (404, "campaign_flow_membership_not_found")
    assert code(api.post(f"{path}/contacts/{uuid4()}")) == (404, "contact_not_found")
    assert issue(api.post(f"{path}/contacts/x")) == refused("contact_id")


@pytest.mark.parametrize("status", ["active", "archived"])
def test_409_structural_edit(api: httpx.Client, status: str) -> None:
    """409 `campaign_not_editable`, while the flow is active or archived."""
    path = active(api)
    if status == "archived":
        told(api.post(f"{path}/pause"))
        told(api.post(f"{path}/archive"))
    edits = ("triggers", "steps", "insert", "merge", "remove step", "email")
    for answer in (
        api.patch(path, json={"triggers": []}),
        api.patch(path, json={"steps": []}),
        api.patch(path, json={"reentry_policy": "allow"}),
        *(CALLS[name](api, path) for name in edits),
    ):
        assert code(answer) == (409, "campaign_not_editable")


def test_409_invalid_lifecycle_transition(api: httpx.Client) -> None:
    """409 `campaign_invalid_state_transition`."""
    path = active(api)
    for name in ("activate", "archive", "delete"):
        answer = CALLS[name](api, path)
        assert code(answer) == (409, "campaign_invalid_state_transition")
    draft = a_draft(api)
    assert code(api.post(f"{draft}/pause")) == (409, "campaign_invalid_state_transition")


def test_409_duplicate_step(api: httpx.Client) -> None:
    """409 `campaign_flow_duplicate_step_id`: on insert, and wherever steps are written."""
    path = a_draft(api, steps=[WAIT])
    twice = {"steps": [WAIT, WAIT]}
    for answer in (
        api.post(f"{path}/steps", json={"step": WAIT}),
        api.put(f"{path}/steps", json=twice),
        api.patch(path, json=twice),
        api.post(FLOWS, json={"name": "n", **twice}),
    ):
        assert code(answer) == (409, "campaign_flow_duplicate_step_id")


def test_409_still_referenced_step(api: httpx.Client) -> None:
    """409 `campaign_flow_step_referenced`."""
    path = a_draft(api, steps=[{**WAIT, "next_step_id": "out"}, OUT])
    answer = api.delete(f"{path}/steps/out")
    assert code(answer) == (409, "campaign_flow_step_referenced")


@pytest.mark.parametrize("status", ["draft", "paused", "archived"])
def test_409_enrolling_into_a_non_active_flow(api: httpx.Client, status: str) -> None:
    """409 `campaign_flow_not_active`."""
    path, contact_id = a_draft(api, steps=[WAIT]), new_contact(api)
    verbs: dict[str, list[str]] = {"paused": ["activate", "pause"], "archived": ["archive"]}
    for verb in verbs.get(status, []):
        told(api.post(f"{path}/{verb}"))
    answer = api.post(f"{path}/contacts/{contact_id}")
    assert code(answer) == (409, "campaign_flow_not_active")


def test_409_a_contact_already_in_the_flow(api: httpx.Client) -> None:
    """409 `campaign_flow_already_in_flow`."""
    path, contact_id = active(api), new_contact(api)
    enter(api, path, contact_id)
    answer = api.post(f"{path}/contacts/{contact_id}")
    assert code(answer) == (409, "campaign_flow_already_in_flow")


def test_409_blocked_by_no_reentry(api: httpx.Client) -> None:
    """409 `campaign_flow_reentry_denied`; with `allow` the contact comes in again."""
    contact_id = new_contact(api)
    once, often = active(api, reentry_policy="no_reentry"), active(api)
    for path in (once, often):
        enter(api, path, contact_id)
        told(api.delete(f"{path}/contacts/{contact_id}"))
    answer = api.post(f"{once}/contacts/{contact_id}")
    assert code(answer) == (409, "campaign_flow_reentry_denied")
    enter(api, often, contact_id)


def test_refusals_are_judged_in_their_order(api: httpx.Client) -> None:
    """Not active, contact missing, already in, re-entry, disqualified."""
    path = a_draft(api, steps=[WAIT], reentry_policy="no_reentry")
    contact_id = new_contact(api)
    assert code(api.post(f"{path}/contacts/{uuid4()}"))[1] == "campaign_flow_not_active"
    told(api.post(f"{path}/activate"))
    assert code(api.post(f"{path}/contacts/{uuid4()}"))[1] == "contact_not_found"
    enter(api, path, contact_id)
    assert code(api.post(f"{path}/contacts/{contact_id}"))[1] == "campaign_flow_already_in_flow"
    told(api.delete(f"{path}/contacts/{contact_id}"))
    rules = {**IN_ROME, "operator": "not_equals"}
    told(api.patch(path, json={"disqualification_rules": rules}))
    assert code(api.post(f"{path}/contacts/{contact_id}"))[1] == "campaign_flow_reentry_denied"
    fresh = api.post(f"{path}/contacts/{new_contact(api)}")
    assert code(fresh)[1] == "campaign_flow_contact_disqualified"


def test_a_step_that_sends_no_mail_gets_none(api: httpx.Client) -> None:
    """400 `campaign_flow_step_not_email`."""
    flow = create(api, steps=[WAIT])
    answer = api.put(f"{path_of(flow)}/steps/w/email", json={"source": "inline"})
    assert code(answer) == (400, "campaign_flow_step_not_email")


def test_what_is_no_route_and_no_method(api: httpx.Client) -> None:
    assert code(api.get("/v1/email-flow")) == (404, "not_found")
    answer = api.put(FLOWS, json={})
    assert answer.status_code == 405
    assert body(answer)["error"]


def test_nothing_is_written_by_what_is_refused(api: httpx.Client) -> None:
    flow = create(api, steps=[WAIT])
    path = path_of(flow)
    changes = {"name": "Other", "steps": [{**WAIT, "colour": "red"}]}
    assert issue(api.patch(path, json=changes)) == refused("steps.0.colour")
    assert told(api.get(path)) == flow
