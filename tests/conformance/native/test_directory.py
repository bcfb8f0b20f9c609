"""`/v1/contacts`, `/v1/lists`, `/v1/custom-fields`, `/v1/forms`, `/v1/events`."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.support.waiting import wait_until

Json = dict[str, Any]


def address() -> str:
    return f"{uuid4().hex}@x.example"


def create(api: httpx.Client, *items: Json) -> Json:
    answer = api.post("/v1/contacts", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    told: Json = answer.json()
    return told


def new_contact(api: httpx.Client, **fields: Any) -> str:
    return str(create(api, {"email": address(), **fields})["results"][0]["contact_id"])


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_a_wrong_item_spoils_no_other(api: httpx.Client) -> None:
    told = create(
        api,
        {"email": "no address", "client_item_id": "1"},
        {"email": address(), "client_item_id": "2"},
        {"first_name": "Nobody", "client_item_id": "3"},
        {"phone": "+49 30 1", "client_item_id": "4"},
    )
    results = told["results"]
    assert [one["status"] for one in results] == ["rejected", "accepted", "rejected", "accepted"]
    assert [one["client_item_id"] for one in results] == ["1", "2", "3", "4"]
    assert [one["index"] for one in results] == [0, 1, 2, 3]
    assert results[0]["error"]["code"] == "invalid_request"
    assert "email" in results[0]["error"]["message"]
    assert (told["accepted"], told["rejected"]) == (2, 2)


@pytest.mark.parametrize("number", [0, 26])
def test_a_call_creates_1_to_25(api: httpx.Client, number: int) -> None:
    items = [{"email": address()} for _ in range(number)]
    assert code(api.post("/v1/contacts", json={"items": items})) == (400, "invalid_request")


def test_an_id_is_had_only_once(api: httpx.Client) -> None:
    contact_id, first = str(uuid4()), address()
    told = create(
        api,
        {"contact_id": contact_id, "email": first},
        {"contact_id": contact_id, "email": address()},
    )
    again = create(api, {"contact_id": contact_id, "email": address()})
    for rejected in (told["results"][1], again["results"][0]):
        assert rejected["error"]["code"] == "contact_already_exists"
        assert rejected["contact_id"] == contact_id
    assert api.get(f"/v1/contacts/{contact_id}").json()["fields"]["email"] == first


def test_writes_show_at_once(api: httpx.Client) -> None:
    plan = f"plan_{uuid4().hex[:8]}"
    api.post("/v1/custom-fields", json={"name": plan, "type": "number"})
    path = f"/v1/contacts/{new_contact(api, custom_fields={plan: 9})}"
    for number in range(5):
        shown = api.patch(path, json={"custom_fields": {plan: number}}).json()
        assert shown["custom_fields"] == {plan: number}
    assert api.patch(path, json={"city": None}).json()["fields"]["city"] is None
    assert api.delete(path).json()["deleted"] is True
    assert code(api.get(path)) == (404, "contact_not_found")
    assert code(api.patch(path, json={"city": "Rome"})) == (404, "contact_not_found")
    assert code(api.delete(path)) == (404, "contact_not_found")


def test_opening_an_old_mail_brings_nobody_back(api: httpx.Client, outside: Outside) -> None:
    gone, follower = new_contact(api), str(uuid4())
    api.delete(f"/v1/contacts/{gone}")
    outside.publish("email.opened", gone, {"email_id": str(uuid4())})
    outside.publish("contact.created", follower, {"fields": {"email": address()}})
    outside.flush()
    wait_until(lambda: api.get(f"/v1/contacts/{follower}").is_success, "the follower is known", 30)
    assert code(api.get(f"/v1/contacts/{gone}")) == (404, "contact_not_found")


def test_lists_may_have_ids_of_the_caller_s_own(api: httpx.Client, outside: Outside) -> None:
    own, named_by_event = str(uuid4()), str(uuid4())
    first = api.post("/v1/lists", json={"name": "A", "list_id": own})
    assert (first.status_code, first.json()["name"]) == (201, "A")
    assert api.post("/v1/lists", json={"name": "B", "list_id": own}).json() == first.json()
    outside.publish("list.contact_added", str(uuid4()), {"list_id": named_by_event})
    outside.flush()
    path = f"/v1/lists/{named_by_event}"
    wait_until(lambda: api.get(path).is_success, "the list is known", 30)
    assert api.get(path).json()["name"] == named_by_event
    api.post("/v1/lists", json={"name": "Named", "list_id": named_by_event})
    assert api.get(path).json()["name"] == "Named"


def test_lists_and_contacts_must_exist(api: httpx.Client) -> None:
    contact_id = new_contact(api)
    list_id = api.post("/v1/lists", json={"name": "People"}).json()["list_id"]
    unknown = uuid4()
    for call in (api.post, api.delete):
        path = f"/v1/lists/{unknown}/contacts/{contact_id}"
        assert code(call(path)) == (404, "list_not_found")
        path = f"/v1/lists/{list_id}/contacts/{unknown}"
        assert code(call(path)) == (404, "contact_not_found")


def test_custom_fields_are_defined_once(api: httpx.Client) -> None:
    tag = uuid4().hex[:8]
    made = api.post("/v1/custom-fields", json={"name": f"Plan Tier {tag}", "type": "text"}).json()
    assert list(made) == ["custom_field_id", "name", "api_name", "type", "active"]
    assert (made["api_name"], made["type"], made["active"]) == (f"plan_tier_{tag}", "text", True)
    same = {"name": "Other", "api_name": made["api_name"], "type": "string"}
    assert code(api.post("/v1/custom-fields", json=same)) == (409, "custom_field_exists")
    assert made in api.get("/v1/custom-fields").json()["custom_fields"]
    for wrong in ({"name": "x", "type": "colour"}, {"name": "名", "type": "text"}):
        assert code(api.post("/v1/custom-fields", json=wrong)) == (400, "invalid_request")


def test_contacts_are_updated_and_deleted_together(api: httpx.Client) -> None:
    email = address()
    made = create(api, *({"email": one} for one in (email, address(), address())))
    first, second, third = (one["contact_id"] for one in made["results"])
    items: list[Json] = [
        {"email": email.upper(), "first_name": "Ada"},
        {"contact_id": second, "lastName": "B", "email": email},
        {"contact_id": third, "company": "C", "client_item_id": "c"},
        {"contact_id": str(uuid4()), "company": "D"},
    ]
    changed = api.post("/v1/contacts/update", json={"items": items}).json()
    assert (changed["accepted"], changed["rejected"]) == (2, 2)
    assert changed["results"][1]["error"]["code"] == "contact_already_exists"
    assert changed["results"][1]["contact_id"] == first
    assert changed["results"][2]["client_item_id"] == "c"
    assert changed["results"][3]["error"]["code"] == "contact_not_found"
    assert api.get(f"/v1/contacts/{first}").json()["fields"]["firstName"] == "Ada"
    assert api.get("/v1/contacts", params={"email": email}).json()["pagination"]["total"] == 1
    refs = {"items": [{"email": email}, {"contact_id": second}]}
    assert api.request("DELETE", "/v1/contacts", json=refs).json()["accepted"] == 2
    refs = {"items": [{"contact_id": third}]}
    assert api.post("/v1/contacts/delete", json=refs).json()["accepted"] == 1
    for contact_id in (first, second, third):
        assert code(api.get(f"/v1/contacts/{contact_id}")) == (404, "contact_not_found")


def test_lists_are_static_or_dynamic(api: httpx.Client) -> None:
    city = uuid4().hex
    ada, bob = new_contact(api, city=city), new_contact(api)
    rules = {
        "kind": "condition", "source": "contact_field", "field": "city",
        "operator": "equals", "value": city,
    }  # fmt: skip
    dynamic = api.post("/v1/lists", json={"name": "D", "kind": "dynamic", "rules": rules}).json()
    assert (dynamic["kind"], dynamic["rules"]) == ("dynamic", rules)
    static = api.post("/v1/lists", json={"name": "S"}).json()["list_id"]
    both = {"contact_ids": [ada, bob]}
    assert api.post(f"/v1/lists/{static}/contacts", json=both).json()["accepted"] == 2
    path = f"/v1/lists/{dynamic['list_id']}/contacts"
    assert code(api.post(path, json=both)) == (400, "list_not_static")
    assert [one["contact_id"] for one in api.get(path).json()["contacts"]] == [ada]
    shown = api.get(f"/v1/lists/{static}/contacts").json()["contacts"]
    assert [one["contact_id"] for one in shown] == sorted([ada, bob])


def test_a_form_s_contact_is_known_when_its_submission_is(api: httpx.Client) -> None:
    sent = {"fields": {"email": address(), "firstName": "Ada"}, "tent_id": str(uuid4())}
    answers = [api.post("/v1/forms/signup/submissions", json=sent) for _ in range(2)]
    first, second = (one.json() for one in answers)
    assert [one.status_code for one in answers] == [201, 201]
    assert (first["contact_created"], second["contact_created"]) == (True, False)
    assert first["contact_id"] == second["contact_id"]
    shown = api.get(f"/v1/contacts/{first['contact_id']}").json()
    assert shown["fields"]["firstName"] == "Ada"


def test_events_come_by_http_as_by_kafka(api: httpx.Client, outside: Outside, stack: Stack) -> None:
    list_id = outside.create_list("By HTTP")
    wait = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "weeks"}
    flow = {
        "name": "By HTTP", "steps": [wait],
        "triggers": [{"type": "added_to_static_list", "list_id": list_id}],
    }  # fmt: skip
    path = f"/v1/email-flows/{outside.call('POST', '/v1/email-flows', flow)['flow_id']}"
    outside.call("POST", f"{path}/activate")
    subjects = [str(uuid4()) for _ in range(3)]
    batch = [
        {
            "specversion": "1.0", "id": str(uuid4()), "source": "/shop", "type": kind,
            "subject": subject, "time": "2026-07-02T09:00:00Z",
            "workspaceid": stack.workspace_id, "data": data,
        }
        for subject in subjects
        for kind, data in (
            ("contact.created", {"fields": {"email": address()}}),
            ("list.contact_added", {"list_id": list_id}),
        )
    ]  # fmt: skip
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    sent = api.post("/v1/events", content=json.dumps(batch), headers=headers)
    assert (sent.status_code, sent.json()) == (202, {"accepted": 6})
    assert api.post("/v1/events", json=batch).status_code == 202  # the same ids count once

    def inside() -> list[str]:
        found = api.get(f"{path}/members").json()["members"]
        return sorted(one["contact_id"] for one in found)

    wait_until(lambda: inside() == sorted(subjects), "all three are in the flow", 30)
    assert api.get(path).json()["details"]["total_entered"] <= len(subjects)
    bad = [batch[0], {**batch[1], "data": {}}]
    answer = api.post("/v1/events", json=bad)
    assert answer.json()["details"]["issues"][0]["path"] == "1.data.list_id"


def test_a_batch_may_be_larger_than_what_kafka_takes_at_once(
    api: httpx.Client, stack: Stack
) -> None:
    subject, list_ids = str(uuid4()), [str(uuid4()) for _ in range(4)]
    batch = [
        {
            "specversion": "1.0", "id": str(uuid4()), "source": "/shop",
            "type": "list.contact_added", "subject": subject, "time": "2026-07-02T09:00:00Z",
            "workspaceid": stack.workspace_id, "data": {"list_id": list_id, "note": "x" * 900_000},
        }
        for list_id in list_ids
    ]  # fmt: skip
    assert api.post("/v1/events", json=batch).json() == {"accepted": 4}
    path = f"/v1/contacts/{subject}"
    wait_until(
        lambda: api.get(path).is_success and len(api.get(path).json()["list_ids"]) == len(list_ids),
        "all four arrived",
        30,
    )
    large = {**batch[0], "data": {"list_id": list_ids[0], "note": "x" * 1_100_000}}
    answer = api.post("/v1/events", json=[batch[1], large])
    assert code(answer) == (413, "event_too_large")
    assert answer.json()["details"]["index"] == 1


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
