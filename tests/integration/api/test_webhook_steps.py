"""Webhooks as users write them: where they may go, and tokens that nobody reads again."""

import json
from typing import Any

import httpx
import pytest

from libs.chassis.postgres.pool import Pool
from libs.chassis.sealing import PREFIX
from services.api.use_cases.app_context import AppContext
from tests.integration.api.test_routes import create, issue
from tests.support.builders import Json

BEARER = "a-token-nobody-may-see"
HOOK: Json = {"step_id": "call", "type": "send_webhook", "endpoint_url": "https://x.example/in",
              "auth_type": "jwt", "token": BEARER}  # fmt: skip


async def kept(pool: Pool) -> Json:
    """Give the step as the database holds it."""
    row = await pool.fetchrow("SELECT document, definition FROM flow")
    assert row is not None
    assert row["document"]["steps"][0].get("token") == row["definition"]["steps"][0].get("token")
    step: Json = row["document"]["steps"][0]
    return step


async def test_a_token_is_sealed_and_never_shown(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext
) -> None:
    flow = await create(api, steps=[HOOK])
    shown = {name: value for name, value in HOOK.items() if name != "token"}
    assert flow["steps"] == [{**shown, "token_set": True}]
    sealed = (await kept(api_pool))["token"]
    assert sealed.startswith(PREFIX)
    assert context.sealer.unseal(sealed) == BEARER
    everything = json.dumps([dict(row) for row in await api_pool.fetch("SELECT * FROM flow")],
                            default=str)  # fmt: skip
    assert BEARER not in everything
    engine = (await api.get(f"/v1/flows/{flow['flow_id']}")).json()
    assert engine["steps"][0]["token_set"] is True
    assert "token" not in engine["steps"][0]


async def test_a_step_that_comes_back_keeps_its_token(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext
) -> None:
    flow = await create(api, steps=[HOOK])
    path = f"/v1/email-flows/{flow['flow_id']}"
    sealed = (await kept(api_pool))["token"]
    again = await api.put(f"{path}/steps", json={"steps": flow["steps"]})
    assert again.json()["steps"] == flow["steps"]
    assert (await kept(api_pool))["token"] == sealed
    labelled = await api.patch(f"{path}/steps/call", json={"step": {"label": "Call"}})
    assert labelled.json()["steps"][0]["token_set"] is True
    assert (await kept(api_pool))["token"] == sealed
    await api.patch(f"{path}/steps/call", json={"step": {"token": "another"}})
    assert context.sealer.unseal((await kept(api_pool))["token"]) == "another"
    without = await api.patch(f"{path}/steps/call", json={"step": {"token": None}})
    assert "token_set" not in without.json()["steps"][0]
    assert "token" not in await kept(api_pool)


async def test_nobody_brings_a_sealed_token(api: httpx.AsyncClient) -> None:
    forged = {**HOOK, "token": f"{PREFIX}xyz"}
    refused = await api.post("/v1/email-flows", json={"name": "n", "steps": [forged]})
    assert issue(refused) == (400, "steps.0.token")


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1/", "http://169.254.169.254/latest", "http://localhost:8080/",
     "http://[::ffff:10.0.0.1]/", "ftp://x.example/", "https://user:pass@x.example/"],
)  # fmt: skip
async def test_webhooks_go_to_public_addresses_only(api: httpx.AsyncClient, address: str) -> None:
    step: Json = {"step_id": "call", "type": "send_webhook", "endpoint_url": address}
    refused = await api.post("/v1/email-flows", json={"name": "n", "steps": [step]})
    assert issue(refused) == (400, "steps.0.endpoint_url")
    here = {"step_id": "call", "type": "send_webhook", "url": address}
    refused = await api.post("/v1/flows", json={"name": "n", "steps": [here]})
    assert issue(refused) == (400, "steps.0.url")


async def test_what_is_missing_is_named(api: httpx.AsyncClient) -> None:
    steps: list[Any] = [
        {"step_id": "a", "type": "send_webhook", "next_step_id": "b"},
        {"step_id": "b", "type": "send_webhook", "endpoint_url": "https://x.example/",
         "auth_type": "jwt", "next_step_id": "c"},
        {"step_id": "c", "type": "send_webhook", "endpoint_url": "https://x.example/",
         "auth_type": "jwt", "secret_arn": "arn:aws:secretsmanager:eu-west-1:1:secret:x"},
    ]  # fmt: skip
    flow = await create(api, steps=steps)
    refused = await api.post(f"/v1/email-flows/{flow['flow_id']}/activate")
    missing = refused.json()["details"]["activation_readiness"]["missing"]
    assert missing == ["flow_nodes.0.endpoint_url", "flow_nodes.1.token", "flow_nodes.2.secret_arn"]
