"""Calling the native API as its callers do, and reading what it answers."""

from typing import Any
from uuid import uuid4

import httpx

Json = dict[str, Any]
FLOWS = "/v1/email-flows"
FLOW_KEYS = (
    "flow_id type name description status triggers steps disqualification_rules reentry_policy "
    "manual_membership_enabled settings details archived_at created_at updated_at"
).split()
MEMBERSHIP_KEYS = (
    "membership_id flow_id contact_id status current_step_id waiting_until entry_source entered_at "
    "completed_at dropped_at drop_reason updated_at"
).split()
NOBODY = "33333333-3333-4333-8333-333333333333"
"""An id of nothing that there is."""
WAIT: Json = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "weeks"}
OUT: Json = {"step_id": "out", "type": "drop_from_flow"}
IN_ROME: Json = {"kind": "condition", "source": "contact_field", "field": "city",
                 "operator": "equals", "value": "Rome"}  # fmt: skip


def code(answer: httpx.Response) -> tuple[int, str]:
    """Give the status and the code of an error."""
    return answer.status_code, answer.json()["error_code"]


def issue(answer: httpx.Response) -> tuple[int, str, str]:
    """Give the status, the code and the path of the first field that was wrong."""
    told = answer.json()
    assert "details" in told, answer.text
    return answer.status_code, told["error_code"], told["details"]["issues"][0]["path"]


def refused(path: str) -> tuple[int, str, str]:
    """Write what `issue` gives where a field is wrong."""
    return 400, "invalid_request", path


def told(answer: httpx.Response, status: int = 200) -> Json:
    """Give the body of an answer that should have this status."""
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    return body


def create(api: httpx.Client, **fields: Any) -> Json:
    """Create a flow."""
    return told(api.post(FLOWS, json={"name": f"flow {uuid4().hex[:8]}", **fields}), 201)


def path_of(flow: Json) -> str:
    """Give the path of a flow."""
    return f"{FLOWS}/{flow['flow_id']}"


def a_draft(api: httpx.Client, **fields: Any) -> str:
    """Create a flow; give its path."""
    return path_of(create(api, **fields))


def active(api: httpx.Client, **fields: Any) -> str:
    """Create a flow that keeps whoever enters for a week, and activate it; give its path."""
    path = a_draft(api, **{"steps": [WAIT], **fields})
    told(api.post(f"{path}/activate"))
    return path


def readiness(api: httpx.Client, path: str) -> Json:
    """Give what activation says is missing from a flow, and warns of."""
    answer = api.post(f"{path}/activate")
    assert code(answer) == (400, "campaign_flow_not_ready"), answer.text
    found: Json = answer.json()["details"]["activation_readiness"]
    return found


def new_contact(api: httpx.Client, **fields: Any) -> str:
    """Create a contact; give its id."""
    items = [{"email": f"{uuid4().hex}@x.example", "first_name": "Ada", **fields}]
    results = told(api.post("/v1/contacts", json={"items": items}))["results"]
    return str(results[0]["contact_id"])


def new_list(api: httpx.Client, **fields: Any) -> str:
    """Create a list; give its id."""
    name = f"list {uuid4().hex[:8]}"
    return str(told(api.post("/v1/lists", json={"name": name, **fields}), 201)["list_id"])


def new_field(api: httpx.Client, kind: str) -> Json:
    """Create a custom field."""
    name = f"f_{uuid4().hex[:8]}"
    body = {"name": name, "api_name": name, "type": kind}
    return told(api.post("/v1/custom-fields", json=body), 201)


def new_email(api: httpx.Client, *, approved: bool = True, **fields: Any) -> str:
    """Create a mail; give its id."""
    body = {"name": "n", "subject": "s", "from_name": "f", "from_address": "f@x.example",
            "html": "<p>Hello</p>", **fields}  # fmt: skip
    email_id = told(api.post("/v1/emails", json=body), 201)["email_id"]
    if approved:
        told(api.post(f"/v1/emails/{email_id}/approve"))
    return str(email_id)


def enter(api: httpx.Client, path: str, contact_id: str, **body: Any) -> Json:
    """Enroll a contact; give the membership."""
    entered = told(api.post(f"{path}/contacts/{contact_id}", json=body), 201)
    membership: Json = entered["membership"]
    return membership


def members(api: httpx.Client, path: str, **asked: Any) -> list[Json]:
    """List the members of a flow."""
    found: list[Json] = told(api.get(f"{path}/members", params=asked))["members"]
    return found
