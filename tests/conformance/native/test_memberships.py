"""`/v1/email-flows/{flow_id}/contacts` and `/members`, and refusals."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.waiting import wait_until

Json = dict[str, Any]
MEMBERSHIP_KEYS = (
    "membership_id flow_id contact_id status current_step_id waiting_until entry_source entered_at "
    "completed_at dropped_at drop_reason updated_at"
).split()
WAIT = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "weeks",
        "label": "A week"}  # fmt: skip


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def new_contact(api: httpx.Client) -> str:
    items = [{"email": f"{uuid4().hex}@x.example", "first_name": "Ada"}]
    results = api.post("/v1/contacts", json={"items": items}).json()["results"]
    return str(results[0]["contact_id"])


def active_flow(api: httpx.Client, **changes: Any) -> str:
    body = {"name": "Members", "steps": [WAIT], **changes}
    path = f"/v1/email-flows/{api.post('/v1/email-flows', json=body).json()['flow_id']}"
    assert api.post(f"{path}/activate").status_code == 200
    return path


def members(api: httpx.Client, path: str, **asked: Any) -> list[Json]:
    answer = api.get(f"{path}/members", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[Json] = answer.json()["members"]
    return found


def enter(api: httpx.Client, path: str, contact_id: str, context: Json) -> Json:
    entered = api.post(f"{path}/contacts/{contact_id}", json={"dynamic_context": context})
    assert entered.status_code == 201, entered.text
    membership: Json = entered.json()["membership"]
    return membership


def timeline(api: httpx.Client, path: str, membership: Json) -> list[str]:
    details = api.get(f"{path}/members/{membership['membership_id']}").json()["membership"]
    return [one["type"] for one in details["timeline"]]


def test_a_contact_enters(api: httpx.Client) -> None:
    path, contact_id = active_flow(api), new_contact(api)
    context = {"couponCode": "SAVE20", "n": 3, "ok": True, "none": None}
    membership = enter(api, path, contact_id, context)
    assert list(membership) == MEMBERSHIP_KEYS
    assert (membership["entry_source"], membership["current_step_id"]) == ("public_api", "w")
    assert membership["waiting_until"].endswith("Z")
    assert code(api.post(f"{path}/contacts/{contact_id}")) == (409, "campaign_flow_already_in_flow")

    wait_until(lambda: members(api, path, status="waiting") != [], "the member is listed", 30)
    (member,) = members(api, path)
    assert {name: member[name] for name in MEMBERSHIP_KEYS} == membership
    assert member["contact"]["contact_id"] == contact_id
    assert member["contact"]["first_name"] == "Ada"
    assert (member["run_status"], member["exited_at"]) == ("in_flow", None)
    assert member["current_step"] == {"step_id": "w", "type": "wait", "label": "A week"}

    details = api.get(f"{path}/members/{membership['membership_id']}").json()["membership"]
    assert (details["failure"], details["dynamic_context"]) == (None, context)
    assert [one["type"] for one in details["timeline"]] == ["entered_flow", "waiting"]


def test_a_contact_is_removed(api: httpx.Client) -> None:
    path, contact_id = active_flow(api), new_contact(api)
    membership = enter(api, path, contact_id, {})
    removed = api.delete(f"{path}/contacts/{contact_id}")
    assert removed.status_code == 200
    told = removed.json()["membership"]
    assert (told["status"], told["drop_reason"]) == ("dropped", "removed_by_api")
    assert told["dropped_at"] is not None
    again = api.delete(f"{path}/contacts/{contact_id}")
    assert (again.status_code, again.content) == (204, b"")
    wait_until(lambda: members(api, path, run_status="exited_flow") != [], "the exit is listed", 30)
    assert timeline(api, path, membership) == ["entered_flow", "waiting", "dropped"]
    counts = api.get(path).json()["details"]
    assert (counts["total_entered"], counts["waiting_count"], counts["dropped_count"]) == (1, 0, 1)


def test_members_are_filtered_and_paged(api: httpx.Client) -> None:
    path = active_flow(api)
    for _ in range(3):
        assert api.post(f"{path}/contacts/{new_contact(api)}").status_code == 201
    wait_until(lambda: len(members(api, path)) == 3, "all are listed", 30)
    page = api.get(f"{path}/members", params={"limit": 2, "page": 2}).json()
    assert page["pagination"] == {"page": 2, "limit": 2, "total": 3, "total_pages": 2}
    entered = sorted(one["entered_at"] for one in members(api, path))
    assert len(members(api, path, entered_from=entered[1])) == 2
    assert len(members(api, path, entered_to=entered[1])) == 2
    assert members(api, path, status="completed") == []
    assert members(api, path, exited_from=entered[0]) == []
    for wrong in ({"status": "odd"}, {"run_status": "odd"}, {"entered_from": "soon"}):
        answer = api.get(f"{path}/members", params=wrong)
        assert code(answer) == (400, "invalid_request")


def test_refusals_have_their_codes_and_are_kept(api: httpx.Client) -> None:
    contact_id = new_contact(api)
    draft = api.post("/v1/email-flows", json={"name": "n", "steps": [WAIT]}).json()["flow_id"]
    enroll = f"contacts/{contact_id}"
    answer = api.post(f"/v1/email-flows/{draft}/{enroll}")
    assert code(answer) == (409, "campaign_flow_not_active")
    assert api.delete(f"/v1/email-flows/{draft}/{enroll}").status_code == 204
    answer = api.post(f"/v1/email-flows/{uuid4()}/{enroll}")
    assert code(answer) == (404, "campaign_not_found")

    once = active_flow(api, reentry_policy="no_reentry")
    assert code(api.post(f"{once}/contacts/{uuid4()}")) == (404, "contact_not_found")
    assert api.post(f"{once}/{enroll}").status_code == 201
    assert api.delete(f"{once}/{enroll}").status_code == 200
    assert code(api.post(f"{once}/{enroll}")) == (409, "campaign_flow_reentry_denied")

    rules = {"kind": "condition", "source": "contact_field", "field": "firstName",
             "operator": "equals", "value": "Ada"}  # fmt: skip
    barred = active_flow(api, disqualification_rules=rules)
    answer = api.post(f"{barred}/{enroll}")
    assert code(answer) == (400, "campaign_flow_contact_disqualified")

    def reasons() -> set[str]:
        told = api.get("/v1/refusals", params={"contact_id": contact_id}).json()
        return {one["reason"] for one in told["refusals"]}

    wait_until(lambda: reasons() == {"reentry_denied", "contact_disqualified"}, "both are kept", 30)
    of_flow = api.get("/v1/refusals", params={"flow_id": barred.rsplit("/", 1)[1]}).json()
    assert [one["reason"] for one in of_flow["refusals"]] == ["contact_disqualified"]


def test_deleting_a_contact_erases_the_person(api: httpx.Client) -> None:
    path, contact_id = active_flow(api), new_contact(api)
    membership = enter(api, path, contact_id, {"couponCode": "For Ada"})
    wait_until(lambda: members(api, path) != [], "the member is listed", 30)
    assert api.delete(f"/v1/contacts/{contact_id}").status_code == 202
    assert code(api.get(f"/v1/contacts/{contact_id}")) == (404, "contact_not_found")

    def details() -> Json:
        told: Json = api.get(f"{path}/members/{membership['membership_id']}").json()["membership"]
        return told

    wait_until(lambda: details()["status"] == "dropped", "the membership has ended", 30)
    wait_until(lambda: details()["dynamic_context"] == {}, "the values are erased", 30)
    left = details()
    assert (left["drop_reason"], left["contact"]["first_name"]) == ("contact_deleted", None)
    assert [one["type"] for one in left["timeline"]] == ["entered_flow", "waiting", "dropped"]


@pytest.mark.parametrize(
    "context", [{"a b": 1}, {"a": {}}, {"a": "x" * 17_000}, {f"k{n}": n for n in range(101)}]
)
def test_dynamic_contexts_have_limits(api: httpx.Client, context: Json) -> None:
    path = f"{active_flow(api)}/contacts/{new_contact(api)}"
    assert code(api.post(path, json={"dynamic_context": context})) == (400, "invalid_request")
    assert api.post(path, json={"dynamic_context": {"a": "x"}}).status_code == 201


def test_unknown_members_are_not_found(api: httpx.Client) -> None:
    path = active_flow(api)
    answer = api.get(f"{path}/members/{uuid4()}")
    assert code(answer) == (404, "campaign_flow_membership_not_found")
    assert code(api.get(f"{path}/members/x")) == (400, "invalid_request")
    assert code(api.post(f"{path}/contacts/x")) == (400, "invalid_request")
