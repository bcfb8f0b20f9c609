"""Calls of the directory, and reading their answers."""

from typing import Any
from uuid import uuid4

import httpx

Json = dict[str, Any]


def address() -> str:
    return f"{uuid4().hex}@x.example"


async def told(call: Any, status: int = 200) -> Json:
    answer = await call
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    return body


async def create(api: httpx.AsyncClient, *items: Json) -> Json:
    return await told(api.post("/v1/contacts", json={"items": list(items)}))


async def update(api: httpx.AsyncClient, *items: Json) -> Json:
    return await told(api.post("/v1/contacts/update", json={"items": list(items)}))


async def new_contacts(api: httpx.AsyncClient, *items: Json) -> list[str]:
    created = await create(api, *items)
    assert created["rejected"] == 0, created
    return [str(one["contact_id"]) for one in created["results"]]


async def new_contact(api: httpx.AsyncClient, **fields: Any) -> str:
    return (await new_contacts(api, {"email": address(), **fields}))[0]


async def new_field(api: httpx.AsyncClient, api_name: str, kind: str) -> Json:
    sent = {"name": api_name, "api_name": api_name, "type": kind}
    return await told(api.post("/v1/custom-fields", json=sent), 201)


async def new_list(api: httpx.AsyncClient, name: str = "People", **more: Any) -> str:
    made = await told(api.post("/v1/lists", json={"name": name, **more}), 201)
    return str(made["list_id"])


async def fields_of(api: httpx.AsyncClient, contact_id: str) -> Json:
    fields: Json = (await told(api.get(f"/v1/contacts/{contact_id}")))["fields"]
    return fields


def codes(bulk: Json) -> list[str | None]:
    return [one["error"] and one["error"]["code"] for one in bulk["results"]]


async def code(call: Any) -> tuple[int, str]:
    answer = await call
    return answer.status_code, answer.json()["error_code"]


async def issue(call: Any) -> tuple[int, str]:
    answer = await call
    return answer.status_code, answer.json()["details"]["issues"][0]["path"]
