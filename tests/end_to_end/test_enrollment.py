"""Who may enter a flow, and how a refusal is explained."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

WAIT: dict[str, Any] = {
    "step_id": "wait",
    "type": "wait",
    "duration_amount": 700,
    "duration_unit": "days",
}


@pytest.fixture
def http(stack: Stack) -> httpx.Client:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=30)


def known_contact(scene: Scene, number: int = 1, **fields: object) -> str:
    contact_id = scene.create_contact(number, **fields)
    scene.outside.flush()

    def known() -> bool:
        try:
            scene.outside.call("GET", f"/v1/contacts/{contact_id}")
        except RuntimeError:
            return False
        return True

    wait_until(known, "the directory to know the contact")
    return contact_id


def test_a_contact_is_enrolled_once_and_removed(outside: Outside, http: httpx.Client) -> None:
    scene = Scene(outside, [dict(WAIT)]).activate()
    contact_id = known_contact(scene)
    path = f"/v1/email-flows/{scene.flow_id}/contacts/{contact_id}"
    entered = http.post(path, json={"dynamic_context": {"couponCode": "SAVE20"}})
    assert entered.status_code == 201
    membership = entered.json()["membership"]
    assert membership["status"] == "waiting"
    assert membership["current_step_id"] == "wait"
    assert membership["entry_source"] == "public_api"
    again = http.post(path)
    assert (again.status_code, again.json()["error_code"]) == (409, "campaign_flow_already_in_flow")
    removed = http.delete(path)
    assert removed.status_code == 200
    assert removed.json()["membership"]["drop_reason"] == "removed_by_api"
    assert http.delete(path).status_code == 204
    assert http.post(path).status_code == 201, "re-entry is allowed after exiting"


def test_no_reentry_counts_every_earlier_run(outside: Outside, http: httpx.Client) -> None:
    scene = Scene(outside, [dict(WAIT)], {"reentry_policy": "no_reentry"}).activate()
    path = f"/v1/email-flows/{scene.flow_id}/contacts/{known_contact(scene)}"
    assert http.post(path).status_code == 201
    assert http.delete(path).status_code == 200
    denied = http.post(path)
    assert (denied.status_code, denied.json()["error_code"]) == (
        409,
        "campaign_flow_reentry_denied",
    )


def test_disqualified_contacts_stay_out_and_are_dropped(
    outside: Outside, http: httpx.Client
) -> None:
    condition = {"kind": "condition", "source": "contact_field", "field": "country"}
    rules = {"kind": "group", "conditions": [{**condition, "operator": "eq", "value": "Atlantis"}]}
    scene = Scene(outside, [dict(WAIT)], {"disqualification_rules": rules}).activate()
    barred = known_contact(scene, 1, country="atlantis")
    refused = http.post(f"/v1/email-flows/{scene.flow_id}/contacts/{barred}")
    assert refused.status_code == 400
    assert refused.json()["error_code"] == "campaign_flow_contact_disqualified"
    inside = known_contact(scene, 2, country="Norway")
    assert http.post(f"/v1/email-flows/{scene.flow_id}/contacts/{inside}").status_code == 201
    outside.publish("contact.updated", inside, {"fields": {"country": "Atlantis"}})
    scene.wait_for(dropped_count=1, waiting_count=0)
    assert scene.members()[0]["drop_reason"] == "disqualified"


def test_new_disqualification_rules_drop_current_members(outside: Outside) -> None:
    scene = Scene(outside, [dict(WAIT)]).activate()
    scene.enter(1, city="Rome")
    scene.enter(2, city="Oslo")
    scene.wait_for(waiting_count=2)
    condition = {"kind": "condition", "source": "contact_field", "field": "city"}
    rules = {**condition, "operator": "equals", "value": "Rome"}
    outside.call("PATCH", f"/v1/email-flows/{scene.flow_id}", {"disqualification_rules": rules})
    scene.wait_for(waiting_count=1, dropped_count=1)


def test_only_active_flows_and_known_contacts(outside: Outside, http: httpx.Client) -> None:
    scene = Scene(outside, [dict(WAIT)])
    contact_id = known_contact(scene)
    path = f"/v1/email-flows/{scene.flow_id}/contacts"
    early = http.post(f"{path}/{contact_id}")
    assert (early.status_code, early.json()["error_code"]) == (409, "campaign_flow_not_active")
    scene.activate()
    unknown = http.post(f"{path}/{uuid4()}")
    assert (unknown.status_code, unknown.json()["error_code"]) == (404, "contact_not_found")
    missing = http.post(f"/v1/email-flows/{uuid4()}/contacts/{contact_id}")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "campaign_not_found")


def test_a_refused_trigger_can_be_explained(outside: Outside, http: httpx.Client) -> None:
    scene = Scene(outside, [dict(WAIT)]).activate()
    contact_id = scene.enter(1)
    scene.put_on_list(contact_id)
    outside.flush()

    def reasons() -> list[str]:
        found = http.get("/v1/refusals", params={"contact_id": contact_id}).json()["refusals"]
        return [one["reason"] for one in found]

    wait_until(lambda: reasons() == ["already_in_flow"], "the refusal to be recorded")
