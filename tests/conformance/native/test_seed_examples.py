"""The examples of the flows' documentation, as they stand there, and the answers it shows.

What differs are ids, times and the address of the API.
"""

import json
import os
import re
import shutil
import subprocess
from typing import Any

import httpx
import pytest

from libs.local.stack import Stack
from tests.support.native import FLOWS, Json, a_draft, active, code, new_email, new_list, told
from tests.support.waiting import wait_until

CREATE = """\
curl --request POST \\
  --url https://api.tented.ai/v1/email-flows \\
  --header "Authorization: Bearer $TENTED_API_KEY" \\
  --header "Content-Type: application/json" \\
  --data '{
    "name": "Welcome series",
    "reentry_policy": "no_reentry",
    "triggers": [
      {"type": "added_to_static_list", "list_id": "11111111-1111-4111-8111-111111111111"}
    ],
    "steps": [
      {
        "step_id": "send-welcome",
        "type": "send_email",
        "email_id": "f11ef3cf-8664-4fe5-a261-c5b4d647b7d1",
        "next_step_id": "wait-3-days"
      },
      {
        "step_id": "wait-3-days",
        "type": "wait",
        "duration_amount": 3,
        "duration_unit": "days",
        "next_step_id": "check-opened"
      },
      {
        "step_id": "check-opened",
        "type": "condition_check",
        "condition": {
          "kind": "group",
          "operator": "and",
          "conditions": [
            {"kind": "condition", "source": "email_step", "nodeId": "send-welcome", "metric": "opened", "operator": "has_activity"}
          ]
        },
        "false_step_id": "send-followup"
      },
      {
        "step_id": "send-followup",
        "type": "send_email",
        "email_id": "a3d1b2c4-5e6f-4a7b-8c9d-0e1f2a3b4c5d"
      }
    ]
  }'
"""  # noqa: E501  (as it stands there)
CREATED = """\
{
  "flow_id": "7c1b9e2a-4f3d-4b6a-9e8c-2d5f7a1b3c4e",
  "type": "triggered_flow",
  "name": "Welcome series",
  "description": null,
  "status": "draft",
  "triggers": [
    {"type": "added_to_static_list", "list_id": "11111111-1111-4111-8111-111111111111"}
  ],
  "steps": [
    {"step_id": "send-welcome", "type": "send_email", "email_id": "f11ef3cf-8664-4fe5-a261-c5b4d647b7d1", "next_step_id": "wait-3-days"},
    {"step_id": "wait-3-days", "type": "wait", "duration_amount": 3, "duration_unit": "days", "next_step_id": "check-opened"},
    {
      "step_id": "check-opened",
      "type": "condition_check",
      "condition": {
        "kind": "group",
        "operator": "and",
        "conditions": [
          {"kind": "condition", "source": "email_step", "nodeId": "send-welcome", "metric": "opened", "operator": "has_activity"}
        ]
      },
      "false_step_id": "send-followup"
    },
    {"step_id": "send-followup", "type": "send_email", "email_id": "a3d1b2c4-5e6f-4a7b-8c9d-0e1f2a3b4c5d"}
  ],
  "disqualification_rules": null,
  "reentry_policy": "no_reentry",
  "manual_membership_enabled": true,
  "settings": {},
  "details": {
    "total_entered": 0,
    "active_count": 0,
    "waiting_count": 0,
    "completed_count": 0,
    "dropped_count": 0,
    "most_recent_entry_at": null
  },
  "archived_at": null,
  "created_at": "2026-07-02T09:00:00.000Z",
  "updated_at": "2026-07-02T09:00:00.000Z"
}
"""  # noqa: E501  (as it stands there)
PUT_TRIGGERS = """\
{
  "triggers": [
    {"type": "added_to_static_list", "list_id": "11111111-1111-4111-8111-111111111111"}
  ]
}
"""
INSERT = """\
{
  "step": {"step_id": "send-reminder", "type": "send_email", "email_id": "...", "next_step_id": "check-opened"},
  "after_step_id": "wait-3-days"
}
"""  # noqa: E501  (as it stands there)
MERGE = '{"step": {"duration_amount": 5, "duration_unit": "days"}}'
REPAIR = '{"repair_edges": {"replace_with_step_id": "send-followup"}}'
NOT_READY = """\
{
  "error": "Triggered flow is missing required activation fields: flow_nodes.0.email_approval",
  "error_code": "campaign_flow_not_ready",
  "details": {
    "activation_readiness": {
      "ready": false,
      "missing": ["flow_nodes.0.email_approval"],
      "warnings": []
    }
  }
}
"""
CONTEXT = '{"dynamic_context": {"couponCode": "SAVE20"}}'
ENROLLED = """\
{
  "membership": {
    "membership_id": "9e2f4a6b-8c1d-4e3f-a5b7-c9d1e3f5a7b9",
    "flow_id": "7c1b9e2a-4f3d-4b6a-9e8c-2d5f7a1b3c4e",
    "contact_id": "22222222-2222-4222-8222-222222222222",
    "status": "active",
    "current_step_id": "send-welcome",
    "waiting_until": null,
    "entry_source": "public_api",
    "entered_at": "2026-07-02T10:00:00.000Z",
    "completed_at": null,
    "dropped_at": null,
    "drop_reason": null,
    "updated_at": "2026-07-02T10:00:00.000Z"
  }
}
"""
DELETED = '{"flow_id": "...", "deleted": true}'
LIST_ID = "11111111-1111-4111-8111-111111111111"
CONTACT_ID = "22222222-2222-4222-8222-222222222222"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def looks(text: str) -> str:
    """Write JSON anew, in the order in which it stands, with every id and instant alike."""
    written = json.dumps(json.loads(text), indent=1)
    return _INSTANT.sub("<instant>", _UUID.sub("<id>", written))


def call(api: httpx.Client, method: str, path: str, body: str) -> httpx.Response:
    """Send a body as it stands."""
    headers = {"Content-Type": "application/json"}
    return api.request(method, path, content=body.encode(), headers=headers)


def data_of(command: str) -> str:
    """Give the body a curl command sends."""
    return command.split("--data '", 1)[1].rsplit("'", 1)[0]


@pytest.fixture
def created(api: httpx.Client) -> str:
    """The path of the flow of the example."""
    answer = call(api, "POST", FLOWS, data_of(CREATE))
    return f"{FLOWS}/{told(answer, 201)['flow_id']}"


@pytest.fixture
def welcome_series(api: httpx.Client, created: str) -> str:
    """The same flow with mails and a list that are there; its path."""
    welcome, followup = (new_email(api) for _ in range(2))
    told(api.patch(f"{created}/steps/send-welcome", json={"step": {"email_id": welcome}}))
    told(api.patch(f"{created}/steps/send-followup", json={"step": {"email_id": followup}}))
    told(api.put(f"{created}/triggers", json={"triggers": [
        {"type": "added_to_static_list", "list_id": new_list(api)}]}))  # fmt: skip
    return created


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_create_a_flow_by_curl(stack: Stack) -> None:
    """The request example, as curl sends it, and the response example."""
    command = CREATE.replace("https://api.tented.ai", stack.url)
    shell = ["bash", "-c", f"{command.rstrip()} --silent --write-out '\\n%{{http_code}}'"]
    key = {**os.environ, "TENTED_API_KEY": stack.api_key}
    ran = subprocess.run(shell, env=key, capture_output=True, text=True, check=True)  # noqa: S603  (the example)
    answer, status = ran.stdout.rsplit("\n", 1)
    assert (status, looks(answer)) == ("201", looks(CREATED))


def test_create_a_flow(api: httpx.Client) -> None:
    answer = call(api, "POST", FLOWS, data_of(CREATE))
    assert (answer.status_code, looks(answer.text)) == (201, looks(CREATED))
    assert answer.json()["steps"] == json.loads(CREATED)["steps"]
    shown = api.get(f"{FLOWS}/{answer.json()['flow_id']}")
    assert (shown.status_code, shown.text) == (200, answer.text)


def test_replace_the_full_trigger_list(api: httpx.Client) -> None:
    flow = told(call(api, "PUT", f"{a_draft(api)}/triggers", PUT_TRIGGERS))
    assert flow["triggers"] == json.loads(PUT_TRIGGERS)["triggers"]


def test_insert_a_step(api: httpx.Client, created: str) -> None:
    """The example leaves the mail out (`...`): that is no id, so one is put in its place."""
    answer = call(api, "POST", f"{created}/steps", INSERT)
    assert code(answer) == (400, "invalid_request")
    body = INSERT.replace('"..."', f'"{new_email(api)}"')
    flow = told(call(api, "POST", f"{created}/steps", body), 201)
    assert [step["step_id"] for step in flow["steps"]] == [
        "send-welcome", "wait-3-days", "send-reminder", "check-opened", "send-followup",
    ]  # fmt: skip
    assert flow["steps"][1]["next_step_id"] == "check-opened", "edges are not rewritten"
    again = call(api, "POST", f"{created}/steps", body)
    assert code(again) == (409, "campaign_flow_duplicate_step_id")


def test_merge_a_partial_update(api: httpx.Client, created: str) -> None:
    flow = told(call(api, "PATCH", f"{created}/steps/wait-3-days", MERGE))
    assert looks(json.dumps(flow)) == looks(CREATED.replace('_amount": 3', '_amount": 5'))


def test_delete_a_referenced_step(api: httpx.Client, created: str) -> None:
    path = f"{created}/steps/check-opened"
    assert code(api.delete(path)) == (409, "campaign_flow_step_referenced")
    flow = told(call(api, "DELETE", path, REPAIR))
    assert flow["steps"][1]["next_step_id"] == "send-followup"
    detach = '{"repair_edges": {"replace_with_step_id": null}}'
    flow = told(call(api, "DELETE", f"{created}/steps/send-followup", detach))
    assert flow["steps"][1]["next_step_id"] is None


def test_activation_of_what_is_incomplete(api: httpx.Client, welcome_series: str) -> None:
    draft = json.dumps({"source": "inline", "subject": "Welcome"})
    told(call(api, "PUT", f"{welcome_series}/steps/send-welcome/email", draft))
    answer = api.post(f"{welcome_series}/activate")
    assert (answer.status_code, looks(answer.text)) == (400, looks(NOT_READY))


def test_enroll_a_contact(api: httpx.Client, welcome_series: str) -> None:
    """As it comes in the contact is at the first step, whose mail is on its way."""
    items = [{"contact_id": CONTACT_ID, "email": "ada@example.com", "first_name": "Ada"}]
    told(api.post("/v1/contacts", json={"items": items}))
    assert told(api.post(f"{welcome_series}/activate"))["status"] == "active"
    path = f"{welcome_series}/contacts/{CONTACT_ID}"
    answer = call(api, "POST", path, CONTEXT)
    assert (answer.status_code, looks(answer.text)) == (201, looks(ENROLLED))
    assert answer.json()["membership"]["contact_id"] == CONTACT_ID
    assert code(call(api, "POST", path, CONTEXT)) == (409, "campaign_flow_already_in_flow")
    removed = api.delete(path)
    assert list(told(removed)["membership"]) == list(json.loads(ENROLLED)["membership"])
    assert api.delete(path).status_code == 204


def test_a_contact_on_the_list_of_the_example_enters(api: httpx.Client) -> None:
    """The list's id of the example may be the caller's own."""
    told(api.post("/v1/lists", json={"name": "Example", "list_id": LIST_ID}), 201)
    triggers: list[Any] = json.loads(PUT_TRIGGERS)["triggers"]
    path = active(api, triggers=triggers)
    items = [{"email": "grace@example.com"}]
    made = told(api.post("/v1/contacts", json={"items": items}))["results"][0]["contact_id"]
    told(api.post(f"/v1/lists/{LIST_ID}/contacts/{made}"))

    def entered() -> Json:
        details: Json = told(api.get(path))["details"]
        return details

    wait_until(lambda: entered()["total_entered"] == 1, "the contact enters", 30)


def test_delete_a_flow(api: httpx.Client, created: str) -> None:
    answer = api.delete(created)
    assert list(answer.json()) == list(json.loads(DELETED))
    assert answer.json() == {"flow_id": created.rsplit("/", 1)[1], "deleted": True}
