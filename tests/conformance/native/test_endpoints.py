"""The endpoints of flows: each answers, with the status and the shape that it should have."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.native import (
    FLOW_KEYS,
    FLOWS,
    MEMBERSHIP_KEYS,
    OUT,
    WAIT,
    Json,
    create,
    enter,
    new_contact,
    new_email,
    path_of,
    told,
)
from tests.support.waiting import wait_until

Call = Callable[[httpx.Client, str, str], httpx.Response]
INLINE = {"source": "inline", "subject": "s"}
SEND = {"step_id": "s", "type": "send_email"}


def _request(method: str, below: str = "", **arguments: Any) -> Call:
    def call(api: httpx.Client, path: str, contact_id: str) -> httpx.Response:
        where = f"{path}{below}".replace("{contact}", contact_id)
        return api.request(method, where, **arguments)

    return call


ANSWER_WITH_THE_FLOW: dict[str, tuple[str, int, Call]] = {
    "GET /v1/email-flows/{flowId}": ("draft", 200, _request("GET")),
    "PATCH /v1/email-flows/{flowId}": ("draft", 200, _request("PATCH", json={"name": "n"})),
    "PUT /v1/email-flows/{flowId}/triggers":
        ("draft", 200, _request("PUT", "/triggers", json={"triggers": []})),
    "PUT /v1/email-flows/{flowId}/steps":
        ("draft", 200, _request("PUT", "/steps", json={"steps": [WAIT]})),
    "POST /v1/email-flows/{flowId}/steps":
        ("draft", 201, _request("POST", "/steps", json={"step": OUT})),
    "PATCH /v1/email-flows/{flowId}/steps/{stepId}":
        ("draft", 200, _request("PATCH", "/steps/w", json={"step": {"label": "x"}})),
    "DELETE /v1/email-flows/{flowId}/steps/{stepId}":
        ("draft", 200, _request("DELETE", "/steps/w")),
    "PUT /v1/email-flows/{flowId}/steps/{stepId}/email":
        ("draft", 200, _request("PUT", "/steps/s/email", json=INLINE)),
    "POST /v1/email-flows/{flowId}/activate": ("ready", 200, _request("POST", "/activate")),
    "POST /v1/email-flows/{flowId}/pause": ("active", 200, _request("POST", "/pause")),
    "POST /v1/email-flows/{flowId}/archive": ("draft", 200, _request("POST", "/archive")),
}  # fmt: skip
"""Each endpoint with the flow it is called about, its status, and the call."""
OTHERS = (
    "GET /v1/email-flows",
    "POST /v1/email-flows",
    "DELETE /v1/email-flows/{flowId}",
    "POST /v1/email-flows/{flowId}/contacts/{contactId}",
    "DELETE /v1/email-flows/{flowId}/contacts/{contactId}",
    "GET /v1/email-flows/{flowId}/members",
    "GET /v1/email-flows/{flowId}/members/{membershipId}",
)


def a_flow(api: httpx.Client, kind: str = "active") -> str:
    """Create a flow; give its path."""
    email = {"email_id": new_email(api)} if kind != "draft" else {}
    path = path_of(create(api, steps=[WAIT, {**SEND, **email}]))
    if kind == "active":
        told(api.post(f"{path}/activate"))
    return path


@pytest.mark.parametrize("row", ANSWER_WITH_THE_FLOW)
def test_the_answer_is_the_flow(api: httpx.Client, row: str) -> None:
    kind, status, call = ANSWER_WITH_THE_FLOW[row]
    path = a_flow(api, kind)
    flow = told(call(api, path, ""), status)
    assert list(flow) == FLOW_KEYS
    assert path_of(flow) == path
    assert told(api.get(path)) == flow


def test_there_are_18_and_no_more(api: httpx.Client) -> None:
    documented = told(api.get("/openapi.json"))["paths"]
    rows = {
        f"{method.upper()} {path}"
        for path, methods in documented.items()
        if path.startswith(FLOWS)
        for method in methods
    }
    names = {"flowId": "flow_id", "stepId": "step_id", "contactId": "contact_id",
             "membershipId": "membership_id"}  # fmt: skip
    expected = {*ANSWER_WITH_THE_FLOW, *OTHERS}
    for ours, theirs in names.items():
        expected = {row.replace(ours, theirs) for row in expected}
    assert len(expected) == 18
    assert rows == expected


def test_create(api: httpx.Client) -> None:
    """POST /v1/email-flows: 201 with the flow."""
    flow = told(api.post(FLOWS, json={"name": "n"}), 201)
    assert list(flow) == FLOW_KEYS
    assert flow["status"] == "draft"


def test_list(api: httpx.Client) -> None:
    """GET /v1/email-flows: `flows` and `pagination`."""
    flow = create(api)
    answer = told(api.get(FLOWS, params={"search": flow["name"]}))
    pagination = {"page": 1, "limit": 25, "total": 1, "total_pages": 1}
    assert answer == {"flows": [flow], "pagination": pagination}


def test_delete(api: httpx.Client) -> None:
    """DELETE /v1/email-flows/{flowId}: its id, and that it is deleted."""
    flow = create(api)
    assert told(api.delete(path_of(flow))) == {"flow_id": flow["flow_id"], "deleted": True}


def test_enroll_and_remove(api: httpx.Client) -> None:
    """POST …/contacts/{contactId}: 201; DELETE …/contacts/{contactId}: 200, or 204."""
    path, contact_id = a_flow(api), new_contact(api)
    bodies: tuple[Json | None, ...] = (None, {}, {"dynamic_context": {}})
    for body in bodies:
        entered = told(api.post(f"{path}/contacts/{contact_id}", json=body), 201)
        assert list(entered) == ["membership"]
        assert list(entered["membership"]) == MEMBERSHIP_KEYS
        removed = told(api.delete(f"{path}/contacts/{contact_id}"))["membership"]
        assert list(removed) == MEMBERSHIP_KEYS
        assert (removed["status"], removed["drop_reason"]) == ("dropped", "removed_by_api")
        assert removed["dropped_at"].endswith("Z")
        assert removed["membership_id"] == entered["membership"]["membership_id"]
        again = api.delete(f"{path}/contacts/{contact_id}")
        assert (again.status_code, again.content) == (204, b"")


def test_members(api: httpx.Client) -> None:
    """GET …/members and …/members/{membershipId}."""
    path = a_flow(api)
    membership = enter(api, path, new_contact(api))

    def listed() -> Json:
        return told(api.get(f"{path}/members"))

    wait_until(lambda: listed()["members"] != [], "the member is listed", 30)
    assert list(listed()) == ["members", "pagination"]
    shown = told(api.get(f"{path}/members/{membership['membership_id']}"))
    assert list(shown) == ["membership"]
    assert shown["membership"].items() >= listed()["members"][0].items()
