"""`/v1/contacts`, `/v1/lists`, `/v1/custom-fields`."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.local.outside import Outside
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
    path = f"/v1/contacts/{new_contact(api, custom_fields={'plan': 'a'})}"
    for number in range(5):
        shown = api.patch(path, json={"custom_fields": {"plan": number}}).json()
        assert shown["custom_fields"] == {"plan": number}
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
    wait_until(lambda: named_by_event in names(api), "the list is known", 30)
    assert names(api)[named_by_event] == named_by_event
    api.post("/v1/lists", json={"name": "Named", "list_id": named_by_event})
    assert names(api)[named_by_event] == "Named"


def names(api: httpx.Client) -> dict[str, str]:
    return {one["list_id"]: one["name"] for one in api.get("/v1/lists").json()["lists"]}


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
