"""Giving a step its mail, on a database alone."""

from typing import Any
from uuid import UUID

import httpx

from tests.integration.api.test_routes import MAIL, code, create, issue
from tests.support.builders import Json

STEPS: list[Json] = [
    {"step_id": "send/1", "type": "send_email", "next_step_id": "w"},
    {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "days"},
]


async def a_step(api: httpx.AsyncClient) -> str:
    flow = await create(api, steps=STEPS)
    return f"/v1/email-flows/{flow['flow_id']}/steps/send/1/email"


async def set_email(api: httpx.AsyncClient, path: str, **body: Any) -> Json:
    answer = await api.put(path, json=body)
    assert answer.status_code == 200, answer.text
    step: Json = answer.json()["steps"][0]
    return step


async def test_a_mail_that_is_there(api: httpx.AsyncClient) -> None:
    email_id = (await api.post("/v1/emails", json=MAIL)).json()["email_id"]
    path = await a_step(api)
    step = await set_email(api, path, source="existing", email_id=email_id)
    assert step == {**STEPS[0], "email_id": email_id}
    unknown = await api.put(path, json={"source": "existing", "email_id": str(UUID(int=7))})
    assert code(unknown) == (404, "email_not_found")


async def test_a_mail_made_for_the_step_is_a_draft(api: httpx.AsyncClient) -> None:
    path = await a_step(api)
    step = await set_email(api, path, source="inline", subject="Hello", from_name="Us")
    mail = (await api.get(f"/v1/emails/{step['email_id']}")).json()
    assert (mail["status"], mail["name"], mail["subject"]) == ("draft", "n Email", "Hello")
    assert "{{tented.unsubscribeOneClickLink}}" in mail["html"]
    step = await set_email(api, path, source="inline", name="Mine", html="<p>x</p>")
    mail = (await api.get(f"/v1/emails/{step['email_id']}")).json()
    assert (mail["name"], mail["html"]) == ("Mine", "<p>x</p>")
    flow = path.removesuffix("/steps/send/1/email")
    refused = await api.post(f"{flow}/activate")
    missing = refused.json()["details"]["activation_readiness"]["missing"]
    assert missing == ["flow_nodes.0.email_approval"]


async def test_what_cannot_be_is_refused_and_leaves_no_mail_behind(api: httpx.AsyncClient) -> None:
    path = await a_step(api)
    template = str(UUID(int=8))
    for body, expected in (
        ({"source": "inline", "html": "x", "template_id": template}, "template_id"),
        ({"source": "inline", "subject": ""}, "subject"),
        ({"source": "inline", "colour": "red"}, "colour"),
        ({"source": "elsewhere"}, "source"),
    ):
        status, where = issue(await api.put(path, json=body))
        assert (status, where) == (400, expected)
    unknown = await api.put(path, json={"source": "inline", "template_id": template})
    assert code(unknown) == (404, "email_template_not_found")
    other = path.replace("send/1", "w")
    refused = await api.put(other, json={"source": "inline"})
    assert code(refused) == (400, "campaign_flow_step_not_email")
    missing = await api.put(path.replace("send/1", "gone"), json={"source": "inline"})
    assert code(missing) == (404, "campaign_flow_step_not_found")
    assert (await api.get("/v1/emails")).json()["pagination"]["total"] == 0
