"""`/v1/lists` and `/v1/custom-fields` on a database alone."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.chassis.postgres.pool import Pool, transaction
from libs.domain.rules import ListMembership
from services.api.use_cases import audiences
from services.api.use_cases.contact_lists import rules_of
from tests.integration.api.conftest import Mirror
from tests.integration.api.directory_calls import (
    Json,
    code,
    codes,
    create,
    issue,
    new_contact,
    new_contacts,
    new_field,
    new_list,
    told,
)
from tests.integration.api.messages import contact_event, tell_of_contacts
from tests.support.builders import WORKSPACE


def city_is(value: str) -> Json:
    return {
        "kind": "condition", "source": "contact_field", "field": "city",
        "operator": "eq", "value": value,
    }  # fmt: skip


def on_list(list_id: str, operator: str = "in_list") -> Json:
    return {
        "kind": "condition", "source": "list_membership", "listId": list_id, "operator": operator
    }  # fmt: skip


def group(*conditions: Json) -> Json:
    return {"kind": "group", "conditions": list(conditions)}


async def dynamic(api: httpx.AsyncClient, rules: Json, **more: Any) -> str:
    return await new_list(api, kind="dynamic", rules=rules, **more)


async def members(api: httpx.AsyncClient, list_id: str, **asked: Any) -> list[str]:
    answer = await told(api.get(f"/v1/lists/{list_id}/contacts", params=asked))
    return [one["contact_id"] for one in answer["contacts"]]


async def test_lists_are_made_shown_and_changed(api: httpx.AsyncClient) -> None:
    rules = group(city_is("Rome"))
    sent = {"name": "Romans", "description": "d", "kind": "dynamic", "rules": rules}
    made = await told(api.post("/v1/lists", json=sent), 201)
    assert list(made) == [
        "list_id", "kind", "name", "description", "rules", "created_at", "updated_at"
    ]  # fmt: skip
    assert (made["kind"], made["rules"], made["description"]) == ("dynamic", rules, "d")
    path = f"/v1/lists/{made['list_id']}"
    assert await told(api.get(path)) == made
    other = await told(api.patch(path, json={"rules": city_is("Oslo"), "description": None}))
    assert (other["rules"], other["description"]) == (city_is("Oslo"), None)
    assert other["name"] == "Romans"
    people = await new_list(api)
    assert (await told(api.patch(f"/v1/lists/{people}", json={"name": "All"})))["name"] == "All"
    assert await issue(api.patch(f"/v1/lists/{people}", json={"rules": rules})) == (400, "rules")
    assert await issue(api.patch(path, json={"rules": None})) == (400, "rules")
    assert await code(api.get(f"/v1/lists/{uuid4()}")) == (404, "list_not_found")
    again = {**sent, "list_id": people}
    assert await code(api.post("/v1/lists", json=again)) == (409, "list_already_exists")


async def test_lists_are_listed_by_kind_and_name(api: httpx.AsyncClient) -> None:
    romans = await dynamic(api, city_is("Rome"), name="Romans")
    people = await new_list(api, "People", description="roman or not")
    searches: list[tuple[Json, list[str]]] = [
        ({}, [romans, people]),
        ({"kind": "static"}, [people]),
        ({"search": "ROMAN"}, [romans, people]),
    ]
    for asked, found in searches:
        answer = await told(api.get("/v1/lists", params=asked))
        assert [one["list_id"] for one in answer["lists"]] == found
    second = await told(api.get("/v1/lists?limit=1&page=2"))
    assert [one["list_id"] for one in second["lists"]] == [people]
    assert second["pagination"] == {"page": 2, "limit": 1, "total": 2, "total_pages": 2}


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "x", "description": "x" * 1001}, "description"),
        ({"name": "x", "kind": "dynamic"}, "rules"),
        ({"name": "x", "rules": city_is("x")}, "rules"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "kind": "dynamic", "rules": group(city_is("x") | {"colour": "red"})},
         "rules.conditions.0.colour"),
        ({"name": "x", "kind": "dynamic", "rules": group()}, "rules.conditions"),
        ({"name": "x", "kind": "dynamic", "rules": group(city_is("x"), on_list(str(UUID(int=7))))},
         "rules.conditions.1.listId"),
        ({"name": "x", "kind": "dynamic", "rules": {
            "kind": "condition", "source": "email_step", "nodeId": "s", "metric": "opened",
            "operator": "has_activity"}}, "rules"),
        ({"name": "x", "kind": "dynamic", "rules": group(city_is("x"), {
            "kind": "condition", "source": "activity", "activityType": "Placed Order",
            "operator": "occurred"})}, "rules.conditions.1.source"),
        ({"name": "x", "kind": "dynamic", "rules": {
            "kind": "condition", "source": "custom_field", "fieldDefinitionId": str(UUID(int=7)),
            "operator": "is_empty"}}, "rules.fieldDefinitionId"),
    ],
)  # fmt: skip
async def test_a_wrong_list_names_the_field(api: httpx.AsyncClient, sent: Json, path: str) -> None:
    assert await issue(api.post("/v1/lists", json=sent)) == (400, path)


async def test_rules_fit_active_custom_fields(api: httpx.AsyncClient) -> None:
    field = await new_field(api, "plan", "number")
    rule = {
        "kind": "condition", "source": "custom_field", "value": 3,
        "fieldDefinitionId": field["custom_field_id"], "operator": "greater_than",
    }  # fmt: skip
    wrong = {"name": "x", "kind": "dynamic", "rules": rule | {"operator": "contains"}}
    assert await issue(api.post("/v1/lists", json=wrong)) == (400, "rules.operator")
    listed = await dynamic(api, rule)
    rich, _ = await new_contacts(
        api, {"phone": "1", "custom_fields": {"plan": 4}}, {"phone": "2", "custom_fields": {}}
    )
    assert await members(api, listed) == [rich]
    path = f"/v1/custom-fields/{field['custom_field_id']}"
    assert (await told(api.patch(path, json={"active": False})))["active"] is False
    assert await members(api, listed) == []
    right = {**wrong, "rules": rule}
    assert await issue(api.post("/v1/lists", json=right)) == (400, "rules.fieldDefinitionId")


async def test_a_dynamic_list_contains_itself_in_no_way(api: httpx.AsyncClient) -> None:
    a = await dynamic(api, city_is("Rome"))
    b = await dynamic(api, on_list(a))
    c = await dynamic(api, group(city_is("x"), on_list(b, "not_in_list")))
    for asked in (a, b, c):
        refused = api.patch(f"/v1/lists/{a}", json={"rules": group(on_list(asked))})
        assert await issue(refused) == (400, "rules")
    own = str(uuid4())
    sent = {"name": "x", "kind": "dynamic", "list_id": own, "rules": on_list(own)}
    assert await issue(api.post("/v1/lists", json=sent)) == (400, "rules")


async def test_two_who_change_two_lists_make_no_circle(api: httpx.AsyncClient) -> None:
    a, b = await dynamic(api, city_is("Rome")), await dynamic(api, city_is("Oslo"))
    answers = await asyncio.gather(
        api.patch(f"/v1/lists/{a}", json={"rules": on_list(b)}),
        api.patch(f"/v1/lists/{b}", json={"rules": on_list(a)}),
    )
    assert sorted(one.status_code for one in answers) == [200, 400]


async def test_a_dynamic_list_rests_on_few_others(api: httpx.AsyncClient) -> None:
    below = await dynamic(api, city_is("Rome"))
    for _ in range(20):
        below = await dynamic(api, on_list(below))
    sent = {"name": "x", "kind": "dynamic", "rules": on_list(below)}
    assert await issue(api.post("/v1/lists", json=sent)) == (400, "rules")


async def test_rules_are_given_with_all_they_rest_on_in_order(
    api: httpx.AsyncClient, api_pool: Pool
) -> None:
    static = await new_list(api)
    a = await dynamic(api, group(city_is("Rome"), on_list(static)))
    b = await dynamic(api, on_list(a))
    c = await dynamic(api, group(on_list(b), on_list(a)))
    async with transaction(api_pool) as tx:
        trees = await rules_of(tx, WORKSPACE, [UUID(c), UUID(static)])
    assert [str(one) for one in trees] == [a, b, c]
    assert isinstance(trees[UUID(b)], ListMembership)


async def test_a_dynamic_list_holds_whom_its_rules_describe(api: httpx.AsyncClient) -> None:
    static = await new_list(api)
    ada, bob, cy = await new_contacts(
        api, *({"phone": name, "city": "Rome"} for name in ("1", "2")), {"phone": "3"}
    )
    await told(api.post(f"/v1/lists/{static}/contacts/{bob}"))
    romans = await dynamic(api, city_is("rome"))
    others = await dynamic(api, group(on_list(romans), on_list(static, "not_in_list")))
    strangers = await dynamic(api, on_list(others, "is_not_member"))
    assert set(await members(api, romans)) == {ada, bob}
    assert await members(api, others) == [ada]
    assert set(await members(api, strangers)) == {bob, cy}


async def test_an_event_that_names_a_dynamic_list_puts_nobody_on_it(
    api: httpx.AsyncClient, api_pool: Pool
) -> None:
    contact_id, romans = await new_contact(api), await dynamic(api, city_is("rome"))
    added = contact_event("list.contact_added", {"list_id": romans}, subject=UUID(contact_id))
    await tell_of_contacts(api_pool, added)
    assert await members(api, romans) == []


async def test_a_search_through_a_dynamic_list_is_bounded(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiences, "MOST_JUDGED", 4)
    monkeypatch.setattr(audiences, "_LEAST_JUDGED", 1)
    monkeypatch.setattr(audiences, "_PAGE", 3)
    made = [
        await new_contact(api, city="Rome" if number % 5 == 0 else "Oslo") for number in range(11)
    ]
    romans = await dynamic(api, city_is("Rome"))
    seen: list[list[str]] = []
    asked: Json = {"limit": 10}
    while True:
        answer = await told(api.get(f"/v1/lists/{romans}/contacts", params=asked))
        seen.append([one["contact_id"] for one in answer["contacts"]])
        if answer["pagination"]["next_cursor"] is None:
            break
        asked["cursor"] = answer["pagination"]["next_cursor"]
    assert seen == [[made[10]], [made[5]], [made[0]]]
    assert answer["pagination"]["total"] is None
    assert await members(api, romans, limit=1) == [made[10]]
    assert await issue(api.get(f"/v1/lists/{romans}/contacts?page=2")) == (400, "page")


async def test_many_come_on_a_list_and_off_it_at_once(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    people = await new_list(api)
    made = await new_contacts(api, *({"phone": str(number)} for number in range(5)))
    path, unknown, calls = f"/v1/lists/{people}/contacts", str(uuid4()), mirror.calls
    put = await told(api.post(path, json={"contact_ids": [*made, unknown, made[0]]}))
    assert codes(put) == [None] * 5 + ["contact_not_found", None]
    assert mirror.calls == calls + 1
    assert await members(api, people) == sorted(made)
    first = await told(api.get(f"{path}?limit=2"))
    assert [one["contact_id"] for one in first["contacts"]] == sorted(made)[:2]
    assert (first["pagination"]["total"], first["pagination"]["total_is_exact"]) == (5, True)
    onward = first["pagination"]["next_cursor"]
    assert await members(api, people, cursor=onward, limit=2) == sorted(made)[2:4]
    assert await members(api, people, page=3, limit=2) == sorted(made)[4:]
    for call, gone in (("DELETE", made[:2]), ("POST", made[2:4])):
        where = path if call == "DELETE" else f"{path}/remove"
        off = await told(api.request(call, where, json={"contact_ids": gone}))
        assert off["accepted"] == 2
    await told(api.delete(f"/v1/contacts/{made[4]}"), 202)
    assert await members(api, people) == []
    for wrong in ([], [str(uuid4())] * 501, ["x"]):
        assert (await issue(api.post(path, json={"contact_ids": wrong})))[0] == 400


async def test_adding_twice_changes_nothing_and_fires_no_trigger(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    people, contact_id = await new_list(api), await new_contact(api)
    path = f"/v1/lists/{people}/contacts/{contact_id}"

    def said() -> list[str]:
        return [one.id for one in mirror.said if getattr(one, "type", "").startswith("list.")]  # type: ignore[attr-defined]

    await told(api.post(path))
    await told(api.post(path))
    assert len(said()) == 1
    await told(api.delete(path))
    await told(api.delete(path))
    assert len(said()) == 2
    await asyncio.gather(*(told(api.post(path)) for _ in range(5)))
    assert len(set(said())) == 3, "at the same time they say the same event"
    await told(api.patch(f"/v1/contacts/{contact_id}", json={"city": "Rome"}))
    await told(api.delete(path))
    await told(api.post(path))
    assert len(set(said())) == 5
    assert await members(api, people) == [contact_id]


async def test_a_dynamic_list_takes_nobody_by_hand(api: httpx.AsyncClient) -> None:
    romans, contact_id = await dynamic(api, city_is("Rome")), await new_contact(api)
    path = f"/v1/lists/{romans}/contacts"
    body = {"contact_ids": [contact_id]}
    for call in (
        api.post(f"{path}/{contact_id}"), api.delete(f"{path}/{contact_id}"),
        api.post(path, json=body), api.post(f"{path}/remove", json=body),
    ):  # fmt: skip
        assert await code(call) == (400, "list_not_static")


async def test_custom_fields_are_renamed_deactivated_and_brought_back(
    api: httpx.AsyncClient,
) -> None:
    field = await new_field(api, "plan", "text")
    path = f"/v1/custom-fields/{field['custom_field_id']}"
    changed = await told(api.patch(path, json={"name": "Plan", "active": False}))
    assert changed == {**field, "name": "Plan", "active": False}
    assert await told(api.get(path)) == changed
    for asked, shown in (("", [changed]), ("?active=true", []), ("?active=false", [changed])):
        assert (await told(api.get(f"/v1/custom-fields{asked}")))["custom_fields"] == shown
    refused = await create(api, {"phone": "1", "custom_fields": {"plan": "x"}})
    assert codes(refused) == ["invalid_request"]
    assert (await told(api.patch(path, json={"active": True})))["name"] == "Plan"
    await new_contact(api, custom_fields={"plan": "x"})
    for odd in ({"type": "number"}, {"active": "no"}, {"name": ""}, {"name": None}):
        assert await issue(api.patch(path, json=odd)) == (400, next(iter(odd)))
    unknown = api.patch(f"/v1/custom-fields/{uuid4()}", json={"active": False})
    assert await code(unknown) == (404, "custom_field_not_found")


@pytest.mark.parametrize("api_name", ["email", "first_name", "city", "9x", "Plan", "x" * 64, ""])
async def test_api_names_are_plain_and_no_standard_field_s(
    api: httpx.AsyncClient, api_name: str
) -> None:
    sent = {"name": "x", "api_name": api_name, "type": "text"}
    assert await issue(api.post("/v1/custom-fields", json=sent)) == (400, "api_name")


async def test_there_are_at_most_200_custom_fields(api: httpx.AsyncClient) -> None:
    for number in range(198):
        await new_field(api, f"f{number}", "text")
    sent = [{"name": f"Last {number}", "type": "text"} for number in range(5)]
    answers = await asyncio.gather(*(api.post("/v1/custom-fields", json=one) for one in sent))
    assert sorted(one.status_code for one in answers) == [201, 201, 409, 409, 409]
    one = next(each for each in answers if each.status_code == 409)
    assert one.json()["error_code"] == "custom_field_limit_reached"
