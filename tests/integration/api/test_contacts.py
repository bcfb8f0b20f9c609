"""`/v1/contacts` on a database alone."""

import asyncio
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest

from libs.chassis.postgres.pool import Pool, transaction
from services.api.store import address_claims
from services.api.store.address_claims import Claim
from services.api.use_cases import contacts
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contacts import ContactChanges, ContactRef, NewContact
from services.api.use_cases.erasure import erase_due
from tests.integration.api.conftest import Mirror
from tests.integration.api.directory_calls import (
    Json,
    address,
    code,
    codes,
    create,
    fields_of,
    issue,
    new_contact,
    new_contacts,
    new_field,
    told,
    update,
)
from tests.support.builders import WORKSPACE


async def test_every_item_is_accepted_or_rejected_by_itself(api: httpx.AsyncClient) -> None:
    ada = await new_contact(api, email="Ada@x.example")
    told_of = await create(
        api,
        {"email": "ada@X.example", "client_item_id": "a"},
        {"email": "bob@x.example", "client_item_id": "b", "first_name": "Bob"},
        {"email": "no address", "client_item_id": "c"},
        {"email": "BOB@x.example"},
        {"phone": "+49 30 1", "colour": "red"},
        cast("Json", 7),
    )
    bob = told_of["results"][1]["contact_id"]
    assert told_of["results"][0] == {
        "index": 0, "client_item_id": "a", "status": "rejected", "contact_id": ada,
        "error": {"code": "contact_already_exists",
                  "message": "A contact with this email or id exists already"},
    }  # fmt: skip
    assert told_of["results"][1] == {
        "index": 1, "client_item_id": "b", "status": "accepted", "contact_id": bob, "error": None,
    }  # fmt: skip
    assert [one["contact_id"] for one in told_of["results"]] == [ada, bob, None, bob, None, None]
    assert codes(told_of)[2:] == [
        "invalid_request", "contact_already_exists", "invalid_request", "invalid_request"
    ]  # fmt: skip
    assert "colour" in told_of["results"][4]["error"]["message"]
    assert (told_of["accepted"], told_of["rejected"]) == (1, 5)


async def test_fields_are_known_in_either_case(api: httpx.AsyncClient) -> None:
    snake, camel = await new_contacts(
        api,
        {"email": address(), "first_name": "Ada", "zip_code": "1", "tented_score": 3},
        {"email": address(), "firstName": "Bob", "zipCode": "2", "clientItemId": "x"},
    )
    shown = await fields_of(api, snake)
    assert (shown["firstName"], shown["zipCode"], shown["tentedScore"]) == ("Ada", "1", 3)
    shown = await fields_of(api, camel)
    assert (shown["firstName"], shown["zipCode"]) == ("Bob", "2")
    refused = await create(api, {"email": address(), "firstName": 7})
    assert refused["results"][0]["error"]["message"].startswith("Invalid request body: firstName:")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", "x", 1), ("number", 1.5, "1"), ("number", 2, True), ("boolean", False, "no"),
        ("date", "2026-07-02", "soon"), ("date", "2026-07-02T09:00:00Z", 20260702),
    ],
)  # fmt: skip
async def test_custom_values_fit_their_fields(
    api: httpx.AsyncClient, kind: str, good: Any, bad: Any
) -> None:
    await new_field(api, "plan", kind)
    contact_id = await new_contact(api, custom_fields={"plan": good})
    path = f"/v1/contacts/{contact_id}"
    for sent, why in (({"plan": bad}, "custom_fields.plan"), ({"x": 1}, "custom_fields.x")):
        refused = await create(api, {"email": address(), "custom_fields": sent})
        assert codes(refused) == ["invalid_request"]
        assert why in refused["results"][0]["error"]["message"]
        assert await issue(api.patch(path, json={"custom_fields": sent})) == (400, why)
    await update(api, {"contact_id": contact_id, "custom_fields": {"plan": None}})
    assert (await told(api.get(path)))["custom_fields"] == {"plan": None}


async def test_contacts_are_updated_by_id_address_or_number(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    ada, bob = await new_contacts(
        api, {"email": "ada@x.example", "phone": "1", "city": "Rome"}, {"phone": "2"}
    )
    calls = mirror.calls
    changed = await update(
        api,
        {"contact_id": ada, "phone": "11", "client_item_id": "a"},
        {"email": "ADA@x.example", "city": None, "company": "A"},
        {"email": "ada@x.example", "company": "B"},
        {"phone": "2", "email": None, "first_name": "Bob"},
        {"phone": "3"},
        {"contact_id": str(uuid4()), "city": "x"},
        {"city": "x"},
    )
    missing = ["contact_not_found", "contact_not_found", "invalid_request"]
    assert codes(changed) == [None, None, None, None, *missing]
    assert [one["contact_id"] for one in changed["results"]][:4] == [ada, ada, ada, bob]
    assert (changed["results"][0]["client_item_id"], mirror.calls) == ("a", calls + 1)
    shown = await fields_of(api, ada)
    assert (shown["email"], shown["phone"]) == ("ada@x.example", "11")
    assert (shown["city"], shown["company"]) == (None, "B")
    assert (await fields_of(api, bob))["firstName"] == "Bob"


async def test_a_number_that_several_have_names_nobody(api: httpx.AsyncClient) -> None:
    await new_contacts(api, {"phone": "1"}, {"phone": "1"})
    assert codes(await update(api, {"phone": "1", "city": "x"})) == ["contact_ambiguous"]


async def test_an_address_stays_one_contact_s(api: httpx.AsyncClient) -> None:
    ada, bob = await new_contacts(api, {"email": "ada@x.example"}, {"email": "bob@x.example"})
    taken = await update(api, {"contact_id": bob, "email": "ADA@x.example"})
    assert (codes(taken), taken["results"][0]["contact_id"]) == (["contact_already_exists"], ada)
    path = f"/v1/contacts/{bob}"
    asked = api.patch(path, json={"email": "ada@x.example"})
    assert await code(asked) == (409, "contact_already_exists")
    same = {"email": "new@x.example"}
    both = await update(api, {"contact_id": ada, **same}, {"contact_id": bob, **same})
    assert codes(both) == [None, "contact_already_exists"]
    assert codes(await update(api, {"contact_id": ada, "email": "New@x.example"})) == [None]
    assert codes(await create(api, {"email": "ada@x.example"})) == [None]


@pytest.mark.parametrize("call", ["POST", "DELETE"])
async def test_contacts_are_deleted_together(api: httpx.AsyncClient, call: str) -> None:
    ada, bob, cy = await new_contacts(
        api, {"email": "ada@x.example"}, {"phone": "2"}, {"phone": "3"}
    )
    items: list[Json] = [
        {"email": "Ada@x.example"}, {"phone": "2", "client_item_id": "b"}, {"contact_id": ada},
        {"phone": "9"}, {"contact_id": cy, "phone": "3"}, {},
    ]  # fmt: skip
    path = "/v1/contacts/delete" if call == "POST" else "/v1/contacts"
    deleted = await told(api.request(call, path, json={"items": items}))
    wrong = ["contact_not_found", "invalid_request", "invalid_request"]
    assert codes(deleted) == [None, None, None, *wrong]
    assert [one["contact_id"] for one in deleted["results"]][:3] == [ada, bob, ada]
    for contact_id, status in ((ada, 404), (bob, 404), (cy, 200)):
        assert (await api.get(f"/v1/contacts/{contact_id}")).status_code == status


async def test_two_who_create_the_same_address_create_one_contact(api: httpx.AsyncClient) -> None:
    items = [{"email": "ada@x.example", "first_name": str(n)} for n in range(8)]
    answers = await asyncio.gather(*(create(api, item) for item in items))
    assert sum(one["accepted"] for one in answers) == 1
    assert len({one["results"][0]["contact_id"] for one in answers}) == 1
    assert (await told(api.get("/v1/contacts")))["pagination"]["total"] == 1


async def test_who_tries_again_after_an_outage_creates_the_same_contact(
    api: httpx.AsyncClient, mirror: Mirror, api_pool: Pool
) -> None:
    mirror.fails = True
    item = {"items": [{"email": "ada@x.example"}]}
    assert await code(api.post("/v1/contacts", json=item)) == (503, "temporarily_unavailable")
    claimed = await api_pool.fetchval("SELECT contact_id FROM address_claim")
    mirror.fails = False
    assert await new_contacts(api, {"email": "Ada@x.example"}) == [str(claimed)]
    assert await api_pool.fetchval("SELECT count(*) FROM address_claim") == 0


async def test_a_claim_left_over_is_erased_with_any_contact(
    api: httpx.AsyncClient, mirror: Mirror, api_pool: Pool
) -> None:
    contact_id = await new_contact(api)
    mirror.fails = True
    item = {"items": [{"email": "ada@x.example"}]}
    assert (await api.post("/v1/contacts", json=item)).status_code == 503
    mirror.fails = False
    await told(api.delete(f"/v1/contacts/{contact_id}"), 202)
    await erase_due(api_pool)
    assert await api_pool.fetchval("SELECT count(*) FROM address_claim") == 0


async def test_an_update_of_nothing_says_nothing(api: httpx.AsyncClient, mirror: Mirror) -> None:
    contact_id, said = await new_contact(api), len(mirror.said)
    assert codes(await update(api, {"contact_id": contact_id})) == [None]
    assert (await told(api.patch(f"/v1/contacts/{contact_id}", json={})))[
        "contact_id"
    ] == contact_id
    assert len(mirror.said) == said


async def test_a_claim_left_over_does_not_overwrite_a_contact(
    api: httpx.AsyncClient, api_pool: Pool
) -> None:
    ada = UUID(await new_contact(api, first_name="Ada"))
    async with transaction(api_pool) as tx:
        await address_claims.claim(tx, WORKSPACE, [Claim("new@x.example", ada, chosen=True)])
    assert codes(await create(api, {"email": "new@x.example"})) == ["contact_already_exists"]
    async with transaction(api_pool) as tx:
        await address_claims.end_claims(tx, WORKSPACE, {"new@x.example": ada})
    (created,) = await new_contacts(api, {"email": "new@x.example"})
    assert created != str(ada)
    assert (await fields_of(api, str(ada)))["firstName"] == "Ada"


async def asked_of(context: AppContext, call: Any) -> int:
    """Count the statements a call needs, on every connection of the pool."""
    asked: list[str] = []

    def note(query: str) -> None:
        if query not in ("BEGIN;", "COMMIT;"):
            asked.append(query)

    held = [await context.pool.acquire() for _ in range(context.pool.get_max_size())]
    for connection in held:
        connection.add_query_logger(lambda record: note(record.query))
        await context.pool.release(connection)
    await call
    return len(asked)


async def cost(context: AppContext, number: int) -> list[int]:
    """Say how many statements it takes to create, update and delete contacts."""
    new = [NewContact(None, {"email": address()}, {}) for _ in range(number)]
    created = await contacts.create(context, WORKSPACE, new)
    ids = [one for one in created if isinstance(one, UUID)]
    assert len(ids) == number
    changes = [ContactChanges(ContactRef(one), {"email": address()}) for one in ids]
    refs = [ContactRef(one) for one in ids]
    more = [NewContact(None, {"email": address()}, {}) for _ in range(number)]
    return [
        await asked_of(context, contacts.create(context, WORKSPACE, more)),
        await asked_of(context, contacts.update(context, WORKSPACE, changes)),
        await asked_of(context, contacts.delete(context, WORKSPACE, refs)),
    ]


async def test_500_contacts_cost_as_many_statements_as_one(
    context: AppContext, mirror: Mirror
) -> None:
    await cost(context, 1)  # connections ask once for the types they meet
    of_one = await cost(context, 1)
    calls = mirror.calls
    assert await cost(context, 500) == of_one
    assert mirror.calls == calls + 4  # one for each of the four
    assert max(of_one) <= 20  # with those of the handler that follows


async def test_contacts_are_paged_by_number_and_by_cursor(api: httpx.AsyncClient) -> None:
    made = [await new_contact(api) for _ in range(5)]
    newest_first = made[::-1]
    first = await told(api.get("/v1/contacts?limit=2"))
    assert [one["contact_id"] for one in first["contacts"]] == newest_first[:2]
    onward = first["pagination"].pop("next_cursor")
    assert first["pagination"] == {
        "page": 1, "limit": 2, "total": 5, "total_pages": 3, "total_is_exact": True,
    }  # fmt: skip
    second = await told(api.get("/v1/contacts?limit=2&page=2"))
    assert [one["contact_id"] for one in second["contacts"]] == newest_first[2:4]
    rest = await told(api.get("/v1/contacts", params={"cursor": onward}))
    assert [one["contact_id"] for one in rest["contacts"]] == newest_first[2:]
    assert (rest["pagination"]["page"], rest["pagination"]["next_cursor"]) == (None, None)
    assert await issue(api.get("/v1/contacts?page=10000")) == (400, "page")
    for odd in ("x", "WzFd", "W10=", "bnVsbA==", "WyIyMDI2LTAxLTAxIiwieCJd"):
        assert await issue(api.get(f"/v1/contacts?cursor={odd}")) == (400, "cursor")


async def test_contacts_are_found_by_address_number_and_beginnings(api: httpx.AsyncClient) -> None:
    ada, bob, cy = await new_contacts(
        api,
        {"email": "Ada@x.example", "first_name": "Ada", "last_name": "Lovelace"},
        {"email": "bob@x.example", "phone": "2", "display_name": "Adam 100%"},
        {"phone": "2", "last_name": "Émile"},
    )

    async def found(**asked: str) -> set[str]:
        answer = await told(api.get("/v1/contacts", params=asked))
        assert answer["pagination"]["total"] == len(answer["contacts"])
        return {one["contact_id"] for one in answer["contacts"]}

    assert await found(email="aDa@x.example") == {ada}
    assert await found(phone="2") == {bob, cy}
    assert await found(search="AdA") == {ada, bob}
    assert await found(search="ada love") == {ada}
    assert await found(search="Ém") == {cy}
    assert await found(search="a%") == set()
    assert await found(search="love") == set()
    assert await issue(api.get("/v1/contacts?search=a&email=b")) == (400, "search")


async def test_contacts_are_listed_and_found_by_indexes(api_pool: Pool) -> None:
    await api_pool.execute(
        "INSERT INTO contact (workspace_id, contact_id, fields, created_at, updated_at)"
        " SELECT $1, gen_random_uuid(), jsonb_build_object('email', n || '@x.example'),"
        " now() - n * interval '1 s', now() FROM generate_series(1, 20000) AS n",
        WORKSPACE,
    )
    await api_pool.execute("ANALYZE contact")
    for name, values in (
        ("newest", (WORKSPACE, None, None, 26, 0)),
        ("searched", ("123", WORKSPACE, None, 1000, None, 25, 0)),
    ):
        plan = await _plan(api_pool, name, values)
        assert "Seq Scan on contact" not in plan, plan


async def _plan(pool: Pool, name: str, values: tuple[Any, ...]) -> str:
    """Give the plan that any values are run by; these are in the order in which they appear."""
    from services.api.store.directory import queries  # noqa: PLC0415  (the statements themselves)

    sql = getattr(queries, name).sql
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        rows = await connection.fetch(f"EXPLAIN {sql}", *values)
    return "\n".join(row[0] for row in rows)
