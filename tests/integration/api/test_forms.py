"""`/v1/forms` on a database alone."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.chassis.postgres.pool import Pool
from tests.integration.api.conftest import Mirror
from tests.integration.api.directory_calls import (
    Json,
    fields_of,
    issue,
    new_contact,
    new_contacts,
    told,
)

PATH = "/v1/forms/signup/submissions"


async def submit(api: httpx.AsyncClient, **sent: Any) -> Json:
    return await told(api.post(PATH, json=sent), 201)


def said(mirror: Mirror) -> list[tuple[str, str]]:
    return [(one.type, one.key) for one in mirror.said]  # type: ignore[attr-defined]


async def test_the_contact_comes_before_its_submission(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    fields = {"email": "Ada@x.example", "firstName": "Ada", "last_name": "L", "colour": ["red"]}
    tent = str(uuid4())
    made = await submit(api, fields=fields, tent_id=tent)
    contact_id = made["contact_id"]
    assert (made["contact_created"], made["tent_id"], made["form_id"]) == (True, tent, "signup")
    assert said(mirror) == [("contact.created", contact_id), ("form.submitted", contact_id)]
    data = mirror.said[1].data  # type: ignore[attr-defined]
    assert (data.form_id, data.tent_id, data.fields) == ("signup", UUID(tent), fields)
    shown = await fields_of(api, contact_id)
    assert (shown["firstName"], shown["lastName"]) == ("Ada", "L")
    assert "colour" not in shown


async def test_a_known_contact_is_found_and_stays_as_it_is(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    ada, bob = await new_contacts(api, {"email": "ada@x.example", "city": "Rome"}, {"phone": "2"})
    del mirror.said[:]
    made = await submit(api, fields={"email": "ADA@x.example", "city": "Oslo", "phone": "2"})
    assert (made["contact_id"], made["contact_created"]) == (ada, False)
    assert (await submit(api, fields={"phone": "2"}))["contact_id"] == bob
    assert said(mirror) == [("form.submitted", ada), ("form.submitted", bob)]
    assert (await fields_of(api, ada))["city"] == "Rome"


@pytest.mark.parametrize("known_by", [{"email": "ada@x.example"}, {"phone": "1"}])
async def test_two_submissions_at_once_create_one_contact(
    api: httpx.AsyncClient, mirror: Mirror, known_by: Json
) -> None:
    made = await asyncio.gather(*(submit(api, fields=known_by) for _ in range(6)))
    assert len({one["contact_id"] for one in made}) == 1
    assert sum(one["contact_created"] for one in made) == 1
    kinds = [kind for kind, _ in said(mirror)]
    assert (kinds[0], kinds.count("form.submitted")) == ("contact.created", 6)
    assert kinds.count("contact.created") == 1


async def test_nobody_s_submission_is_kept_and_nobody_hears_of_it(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    sent: list[Json] = [
        {"fields": {"colour": "red"}, "submission_id": "a"},
        {"fields": {"email": "", "phone": None}, "submission_id": "b"},
        {"fields": {"colour": "red"}, "submission_id": "a"},
    ]
    made = [await submit(api, **one) for one in sent]
    assert [one["contact_id"] for one in made] == [None, None, None]
    assert mirror.said == []
    first = await told(api.get(f"{PATH}?limit=1"))
    (one,) = first["submissions"]
    assert (one["submission_id"], one["fields"]) == ("b", {"email": "", "phone": None})
    onward = {"cursor": first["pagination"]["next_cursor"]}
    rest = await told(api.get(PATH, params=onward))
    assert [one["submission_id"] for one in rest["submissions"]] == ["a"]
    assert rest["pagination"]["next_cursor"] is None
    assert (await told(api.get("/v1/forms/other/submissions")))["submissions"] == []


async def test_the_same_submission_is_the_same_event(
    api: httpx.AsyncClient, mirror: Mirror, api_pool: Pool
) -> None:
    await new_contact(api, email="ada@x.example")
    del mirror.said[:]
    for submission_id in ("a", "a", "b"):
        await submit(api, fields={"email": "ada@x.example"}, submission_id=submission_id)
    first, second, third = (one.id for one in mirror.said)  # type: ignore[attr-defined]
    assert first == second != third
    assert await api_pool.fetchval("SELECT count(*) FROM form_submission") == 0


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"fields": {"email": "no address"}}, "fields.email"),
        ({"fields": {"phone": "1", "zipCode": "1" * 51}}, "fields.zipCode"),
        ({"fields": {"phone": 1}}, "fields.phone"),
        ({"fields": {"phone": "1"}, "tent_id": "x"}, "tent_id"),
        ({"fields": {str(number): 1 for number in range(201)}}, "fields"),
        ({"fields": {}, "colour": "red"}, "colour"),
        ({"fields": {"x": json.loads("[" * 100 + "]" * 100)}}, "fields"),
        ({}, "fields"),
    ],
)
async def test_a_wrong_submission_names_the_field(
    api: httpx.AsyncClient, sent: Json, path: str
) -> None:
    assert await issue(api.post(PATH, json=sent)) == (400, path)
    assert await issue(api.post(f"/v1/forms/{'x' * 256}/submissions", json=sent)) == (
        400, "form_id",
    )  # fmt: skip
