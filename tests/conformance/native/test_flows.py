"""`/v1/email-flows`, as services/api/native/README.md promises it."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.local.outside import welcome_series
from libs.local.stack import Stack

Json = dict[str, Any]
FLOW_KEYS = (
    "flow_id type name description status triggers steps disqualification_rules reentry_policy "
    "manual_membership_enabled settings details archived_at created_at updated_at"
).split()


def example() -> Json:
    return welcome_series(*(str(uuid4()) for _ in range(3)))


def create(api: httpx.Client, **changes: Any) -> Json:
    answer = api.post("/v1/email-flows", json={**example(), **changes})
    assert answer.status_code == 201, answer.text
    created: Json = answer.json()
    return created


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_a_flow_comes_back_as_it_was_sent(api: httpx.Client) -> None:
    sent = example()
    flow = api.post("/v1/email-flows", json=sent).json()
    assert list(flow) == FLOW_KEYS
    assert flow["steps"] == sent["steps"]
    assert [list(step) for step in flow["steps"]] == [list(step) for step in sent["steps"]]
    assert (flow["type"], flow["status"], flow["settings"]) == ("triggered_flow", "draft", {})
    assert flow["details"]["total_entered"] == 0
    assert flow["created_at"].endswith("Z")
    assert len(flow["created_at"]) == len("2026-07-02T09:00:00.000Z")
    assert api.get(f"/v1/email-flows/{flow['flow_id']}").json() == flow


def test_keys_open_one_workspace(api: httpx.Client, stack: Stack) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}):
        answer = httpx.get(f"{stack.url}/v1/email-flows", headers=headers)
        assert code(answer) == (401, "unauthorized")
    assert code(api.get(f"/v1/email-flows/{uuid4()}")) == (404, "campaign_not_found")
    assert code(api.get("/v1/email-flows/not-a-uuid")) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"steps": []}, "name"),
        ({"name": "x", "steps": [{"step_id": "w", "type": "wait", "duration_amount": 1,
                                  "duration_unit": "years"}]}, "steps.0.duration_unit"),
        ({"name": "x", "triggers": [{"type": "telepathy"}]}, "triggers.0.type"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "disqualification_rules": {
            "kind": "condition", "source": "email_step", "nodeId": "s", "metric": "opened",
            "operator": "has_activity"}}, "disqualification_rules"),
    ],
)  # fmt: skip
def test_bad_input_names_the_field(api: httpx.Client, body: Json, path: str) -> None:
    answer = api.post("/v1/email-flows", json=body)
    assert code(answer) == (400, "invalid_request")
    assert answer.json()["details"]["issues"][0]["path"] == path


def test_bad_json_is_refused(api: httpx.Client) -> None:
    answer = api.post("/v1/email-flows", content=b"{", headers={"Content-Type": "application/json"})
    assert code(answer) == (400, "invalid_request")


def test_activation_names_what_is_missing(api: httpx.Client) -> None:
    flow = create(api)
    answer = api.post(f"/v1/email-flows/{flow['flow_id']}/activate")
    assert code(answer) == (400, "campaign_flow_not_ready")
    readiness = answer.json()["details"]["activation_readiness"]
    assert readiness["ready"] is False
    assert readiness["missing"] == [
        "triggers.0.list_id", "flow_nodes.0.email_id", "flow_nodes.3.email_id",
    ]  # fmt: skip
    draft = api.post("/v1/emails", json={"name": "n", "subject": "s"}).json()["email_id"]
    api.put(f"/v1/email-flows/{flow['flow_id']}/triggers", json={"triggers": []})
    steps = [{"step_id": "s", "type": "send_email", "email_id": draft}]
    api.put(f"/v1/email-flows/{flow['flow_id']}/steps", json={"steps": steps})
    answer = api.post(f"/v1/email-flows/{flow['flow_id']}/activate")
    assert answer.json()["error"].endswith("flow_nodes.0.email_approval")
    not_ready = api.post(f"/v1/emails/{draft}/approve")
    assert code(not_ready) == (400, "email_not_ready")


def test_a_flow_lives(api: httpx.Client) -> None:
    waits = [{"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "weeks"}]
    path = f"/v1/email-flows/{create(api, steps=waits, triggers=[])['flow_id']}"
    assert code(api.post(f"{path}/pause")) == (409, "campaign_invalid_state_transition")
    assert api.post(f"{path}/activate").json()["status"] == "active"
    assert code(api.post(f"{path}/activate")) == (409, "campaign_invalid_state_transition")
    assert code(api.patch(path, json={"steps": []})) == (409, "campaign_not_editable")
    assert api.patch(path, json={"name": "Renamed"}).json()["name"] == "Renamed"
    assert code(api.delete(path)) == (409, "campaign_invalid_state_transition")
    assert code(api.post(f"{path}/archive")) == (409, "campaign_invalid_state_transition")
    assert api.post(f"{path}/pause").json()["status"] == "paused"
    assert api.patch(path, json={"reentry_policy": "no_reentry"}).status_code == 200
    archived = api.post(f"{path}/archive").json()
    assert archived["archived_at"] is not None
    assert code(api.patch(path, json={"name": "x"})) == (409, "campaign_not_editable")
    flow_id = archived["flow_id"]
    assert api.delete(path).json() == {"flow_id": flow_id, "deleted": True}
    assert code(api.get(path)) == (404, "campaign_not_found")


def test_steps_are_edited_one_by_one(api: httpx.Client) -> None:
    path = f"/v1/email-flows/{create(api)['flow_id']}/steps"
    new = {"step_id": "out", "type": "drop_from_flow"}
    inserted = api.post(path, json={"step": new, "after_step_id": "wait-3-days"})
    assert inserted.status_code == 201
    assert [step["step_id"] for step in inserted.json()["steps"]][2] == "out"
    assert code(api.post(path, json={"step": new})) == (409, "campaign_flow_duplicate_step_id")
    patched = api.patch(f"{path}/wait-3-days", json={"step": {"duration_amount": 5}})
    assert patched.json()["steps"][1]["duration_amount"] == 5
    odd = api.post(path, json={"step": {**new, "step_id": "odd", "colour": "red"}})
    assert code(odd) == (400, "invalid_request")
    assert odd.json()["details"]["issues"][0]["path"] == "step.colour"
    referenced = api.delete(f"{path}/check-opened")
    assert code(referenced) == (409, "campaign_flow_step_referenced")
    repaired = api.request(
        "DELETE",
        f"{path}/check-opened",
        json={"repair_edges": {"replace_with_step_id": "send-followup"}},
    )
    assert repaired.json()["steps"][1]["next_step_id"] == "send-followup"
    detached = api.delete(f"{path}/send-followup?replace_with_step_id=")
    assert detached.json()["steps"][1]["next_step_id"] is None
    slash = {"step_id": "a/b c", "type": "drop_from_flow"}
    assert api.post(path, json={"step": slash}).status_code == 201
    assert api.patch(f"{path}/a%2Fb%20c", json={"step": {"label": "x"}}).status_code == 200
    assert code(api.delete(f"{path}/nowhere")) == (404, "campaign_flow_step_not_found")


def test_flows_are_listed(api: httpx.Client) -> None:
    tag = uuid4().hex
    for number in range(3):
        create(api, name=f"{tag} {number}")
    asked: dict[str, Any] = {
        "search": tag.upper(),
        "sort_by": "name",
        "sort_order": "asc",
        "limit": 2,
    }
    answer = api.get("/v1/email-flows", params=asked).json()
    assert [flow["name"] for flow in answer["flows"]] == [f"{tag} 0", f"{tag} 1"]
    assert answer["pagination"] == {"page": 1, "limit": 2, "total": 3, "total_pages": 2}
    beyond = api.get("/v1/email-flows", params={**asked, "page": 9}).json()
    assert (beyond["flows"], beyond["pagination"]["total"]) == ([], 3)
    assert code(api.get("/v1/email-flows", params={"limit": 0})) == (400, "invalid_request")
    assert code(api.get("/v1/email-flows", params={"status": "odd"})) == (400, "invalid_request")


def test_an_email_in_use_stays_approved(api: httpx.Client) -> None:
    body = {"name": "n", "subject": "s", "from_name": "f", "from_address": "f@x.example",
            "html": "<p>x</p>"}  # fmt: skip
    email_id = api.post("/v1/emails", json=body).json()["email_id"]
    approved = api.post(f"/v1/emails/{email_id}/approve").json()
    assert approved["status"] == "approved"
    assert code(api.patch(f"/v1/emails/{email_id}", json={"subject": "t"})) == (
        409, "email_not_editable",
    )  # fmt: skip
    steps = [{"step_id": "s", "type": "send_email", "email_id": email_id}]
    flow_id = create(api, steps=steps, triggers=[])["flow_id"]
    assert api.post(f"/v1/email-flows/{flow_id}/activate").status_code == 200
    assert code(api.post(f"/v1/emails/{email_id}/unapprove")) == (409, "email_in_use")
    api.post(f"/v1/email-flows/{flow_id}/pause")
    assert api.post(f"/v1/emails/{email_id}/unapprove").json()["status"] == "draft"


def test_the_directory_publishes_and_follows(api: httpx.Client) -> None:
    email = f"{uuid4().hex}@x.example"
    items = [
        {"email": email, "first_name": "Ada", "client_item_id": "1"},
        {"email": email.upper(), "client_item_id": "2"},
    ]
    results = api.post("/v1/contacts", json={"items": items}).json()
    assert (results["accepted"], results["rejected"]) == (1, 1)
    assert results["results"][1]["error"]["code"] == "contact_already_exists"
    contact_id = results["results"][0]["contact_id"]
    list_id = api.post("/v1/lists", json={"name": "People"}).json()["list_id"]
    assert api.post(f"/v1/lists/{list_id}/contacts/{contact_id}").status_code == 200
    contact = api.get(f"/v1/contacts/{contact_id}").json()
    assert contact["fields"]["firstName"] == "Ada"
    assert contact["list_ids"] == [list_id]
    changed = api.patch(f"/v1/contacts/{contact_id}", json={"city": "Rome"}).json()
    assert changed["fields"]["city"] == "Rome"
    api.delete(f"/v1/lists/{list_id}/contacts/{contact_id}")
    assert api.get(f"/v1/contacts/{contact_id}").json()["list_ids"] == []


def test_the_api_documents_itself(api: httpx.Client, stack: Stack) -> None:
    assert api.get("/docs").status_code == 200
    paths = api.get("/openapi.json").json()["paths"]
    assert "/v1/email-flows/{flow_id}/activate" in paths
    for name, port in stack.ports.items():
        if name in stack.services:
            described = httpx.get(f"http://127.0.0.1:{port}/asyncapi.json").json()
            assert described["channels"], name
            assert "millrace_batches_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
