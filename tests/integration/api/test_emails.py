"""`/v1/emails` on a database alone."""

from uuid import uuid4

import httpx

from tests.integration.api.directory_calls import Json, code, told

MAIL = {"name": "n", "subject": "s", "from_name": "f", "from_address": "f@x.example", "html": "x"}


async def approved(api: httpx.AsyncClient) -> str:
    email_id = (await told(api.post("/v1/emails", json=MAIL), 201))["email_id"]
    await told(api.post(f"/v1/emails/{email_id}/approve"))
    return str(email_id)


async def test_a_mail_is_shown_as_documented(api: httpx.AsyncClient) -> None:
    path = f"/v1/emails/{await approved(api)}"
    mail = await told(api.get(path))
    assert list(mail)[:4] == ["email_id", "name", "status", "subject"]
    content = await told(api.get(f"{path}/content"))
    assert content == {"email_id": mail["email_id"], "version": mail["version"], "html": "x"}


async def test_a_mail_in_use_is_not_deleted(api: httpx.AsyncClient) -> None:
    email_id = await approved(api)
    step = {"step_id": "s", "type": "send_email", "email_id": email_id}
    flow = await told(api.post("/v1/email-flows", json={"name": "n", "steps": [step]}), 201)
    path = f"/v1/email-flows/{flow['flow_id']}"
    await told(api.post(f"{path}/activate"))
    assert await code(api.delete(f"/v1/emails/{email_id}")) == (409, "email_in_use")
    await told(api.post(f"{path}/pause"))
    deleted: Json = {"email_id": email_id, "deleted": True}
    assert await told(api.delete(f"/v1/emails/{email_id}")) == deleted
    for call in (api.get, api.delete):
        assert await code(call(f"/v1/emails/{email_id}")) == (404, "email_not_found")
    answer = await api.post(f"{path}/activate")
    missing = answer.json()["details"]["activation_readiness"]["missing"]
    assert (answer.status_code, missing) == (400, ["flow_nodes.0.email_id"])
    assert await code(api.delete(f"/v1/emails/{uuid4()}")) == (404, "email_not_found")
