"""What becomes of members and refusals: what is kept, and what is erased."""

import httpx
import pytest

from tests.support.native import (
    IN_ROME,
    Json,
    active,
    code,
    enter,
    issue,
    members,
    new_contact,
    told,
)
from tests.support.waiting import wait_until


def test_refusals_are_kept(api: httpx.Client) -> None:
    contact_id = new_contact(api, city="Rome")
    once = active(api, reentry_policy="no_reentry")
    barred = active(api, disqualification_rules=IN_ROME)
    enter(api, once, contact_id)
    told(api.delete(f"{once}/contacts/{contact_id}"))
    for path in (once, barred):
        assert api.post(f"{path}/contacts/{contact_id}").is_error

    def reasons() -> set[str]:
        kept = told(api.get("/v1/refusals", params={"contact_id": contact_id}))
        return {one["reason"] for one in kept["refusals"]}

    wait_until(lambda: reasons() == {"reentry_denied", "contact_disqualified"}, "both are kept", 30)
    of_flow = api.get("/v1/refusals", params={"flow_id": barred.rsplit("/", 1)[1]}).json()
    assert [one["reason"] for one in of_flow["refusals"]] == ["contact_disqualified"]


def test_deleting_a_contact_erases_the_person(api: httpx.Client) -> None:
    path, contact_id = active(api), new_contact(api)
    membership = enter(api, path, contact_id, dynamic_context={"couponCode": "For Ada"})
    wait_until(lambda: members(api, path) != [], "the member is listed", 30)
    assert api.delete(f"/v1/contacts/{contact_id}").status_code == 202
    assert code(api.get(f"/v1/contacts/{contact_id}")) == (404, "contact_not_found")

    def details() -> Json:
        where = f"{path}/members/{membership['membership_id']}"
        shown: Json = told(api.get(where))["membership"]
        return shown

    wait_until(lambda: details()["status"] == "dropped", "the membership has ended", 30)
    wait_until(lambda: details()["dynamic_context"] == {}, "the values are erased", 30)
    left = details()
    assert (left["drop_reason"], left["contact"]["first_name"]) == ("contact_deleted", None)
    assert [one["type"] for one in left["timeline"]] == ["entered_flow", "waiting", "dropped"]


@pytest.mark.parametrize(
    "context", [{"a b": 1}, {"a": {}}, {"a": "x" * 17_000}, {f"k{n}": n for n in range(101)}]
)
def test_dynamic_contexts_have_limits(api: httpx.Client, context: Json) -> None:
    path = f"{active(api)}/contacts/{new_contact(api)}"
    status, _, where = issue(api.post(path, json={"dynamic_context": context}))
    assert (status, where.split(".")[0]) == (400, "dynamic_context")
    assert api.post(path, json={"dynamic_context": {"a": "x"}}).status_code == 201
