"""Dynamic lists in the rules of flows (services/api/native/README.md, "Flows")."""

from typing import Any
from uuid import uuid4

import httpx

from tests.support.native import active, code, enter, members
from tests.support.waiting import wait_until

Json = dict[str, Any]
REST: Json = {
    "step_id": "rest", "type": "wait", "duration_amount": 100, "duration_unit": "weeks"
}  # fmt: skip


def lives_in(city: str) -> Json:
    return {
        "kind": "condition", "source": "contact_field", "field": "city",
        "operator": "equals", "value": city,
    }  # fmt: skip


def on_list(list_id: str, operator: str = "is_member") -> Json:
    return {
        "kind": "condition", "source": "list_membership", "listId": list_id, "operator": operator
    }  # fmt: skip


def dynamic(api: httpx.Client, rules: Json) -> str:
    made = api.post("/v1/lists", json={"name": "Dynamic", "kind": "dynamic", "rules": rules})
    assert made.status_code == 201, made.text
    return str(made.json()["list_id"])


def new_contact(api: httpx.Client, city: str) -> str:
    items = [{"email": f"{uuid4().hex}@x.example", "city": city}]
    results = api.post("/v1/contacts", json={"items": items}).json()["results"]
    return str(results[0]["contact_id"])


def test_members_follow_lists_their_flow_asks_about(api: httpx.Client) -> None:
    rome, oslo, bern = (uuid4().hex for _ in range(3))
    romans = dynamic(api, lives_in(rome))
    citizens, unwanted = dynamic(api, on_list(romans)), dynamic(api, lives_in(bern))
    until = {"step_id": "until", "type": "wait", "condition": on_list(citizens),
             "next_step_id": "rest"}  # fmt: skip
    path = active(api, steps=[until, REST], disqualification_rules=on_list(unwanted))
    ada, bob = new_contact(api, oslo), new_contact(api, oslo)
    for contact_id in (ada, bob):
        assert enter(api, path, contact_id)["current_step_id"] == "until"
    refused = api.post(f"{path}/contacts/{new_contact(api, bern)}")
    assert code(refused) == (400, "campaign_flow_contact_disqualified")

    def place(contact_id: str) -> str | None:
        """Say where somebody stands, or why he stands nowhere."""
        (one,) = [one for one in members(api, path) if one["contact_id"] == contact_id]
        return str(one["drop_reason"] or one["current_step_id"])

    wait_until(lambda: len(members(api, path)) == 2, "both are listed", 30)
    api.patch(f"/v1/contacts/{ada}", json={"city": rome})
    wait_until(lambda: place(ada) == "rest", "who comes on the list goes on", 30)
    assert place(bob) == "until"
    api.patch(f"/v1/lists/{romans}", json={"rules": lives_in(oslo)})
    wait_until(lambda: place(bob) == "rest", "the list's edit is judged anew", 30)
    api.patch(f"/v1/lists/{unwanted}", json={"rules": lives_in(rome)})
    wait_until(lambda: place(ada) == "disqualified", "who is disqualified by it goes", 30)
    assert place(bob) == "rest"
    assert api.get(path).json()["status"] == "active"


def test_a_dynamic_list_is_told_apart_where_only_static_ones_will_do(api: httpx.Client) -> None:
    list_id = dynamic(api, lives_in("Rome"))
    flow: Json = {
        "name": "Static only",
        "triggers": [{"type": "added_to_static_list", "list_id": list_id}],
        "steps": [
            {"step_id": "a", "type": "add_to_list", "list_id": list_id},
            {"step_id": "c", "type": "condition_check", "condition": on_list(str(uuid4()))},
        ],
    }
    flow_id = api.post("/v1/email-flows", json=flow).json()["flow_id"]
    answer = api.post(f"/v1/email-flows/{flow_id}/activate")
    assert code(answer) == (400, "campaign_flow_not_ready")
    assert answer.json()["details"]["activation_readiness"]["missing"] == [
        "triggers.0.list_id", "flow_nodes.0.list_id", "flow_nodes.1.condition"
    ]  # fmt: skip
