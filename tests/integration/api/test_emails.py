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


async def draft(api: httpx.AsyncClient, **changes: object) -> str:
    body = {**MAIL, "html": "<p>Hi {{contact.firstName:default=you}}</p>", **changes}
    made = await told(api.post("/v1/emails", json=body), 201)
    return f"/v1/emails/{made['email_id']}"


async def test_a_mail_s_text_is_read_from_its_html_unless_it_has_one(
    api: httpx.AsyncClient,
) -> None:
    html = '<p>Hi {{contact.firstName:default=you}}</p><a href="{{tented.privacyUrl}}">Terms</a>'
    path = await draft(api, html=html)
    derived = await told(api.get(f"{path}/plain-text"))
    assert derived == {
        "email_id": path.rsplit("/", 1)[1], "version": 1,
        "plain_text": "Hi {{contact.firstName:default=you}}\nTerms <{{tented.privacyUrl}}>",
        "overridden": False, "stale_after_html_iteration": False,
    }  # fmt: skip
    own = await told(api.put(f"{path}/plain-text", json={"plain_text": "My own"}))
    assert (own["plain_text"], own["overridden"]) == ("My own", True)
    assert (await told(api.get(path)))["text"] == "My own"
    back = await told(api.delete(f"{path}/plain-text"))
    assert (back["plain_text"], back["overridden"]) == (derived["plain_text"], False)


async def test_a_text_is_stale_once_the_html_has_changed_after_it(api: httpx.AsyncClient) -> None:
    path = await draft(api)

    async def stale() -> bool:
        return bool((await told(api.get(f"{path}/plain-text")))["stale_after_html_iteration"])

    await told(api.patch(path, json={"html": "<p>Before any text</p>"}))
    assert not await stale()
    await told(api.put(f"{path}/plain-text", json={"plain_text": "x"}))
    await told(api.patch(path, json={"subject": "t", "html": "<p>Before any text</p>"}))
    assert not await stale()
    await told(api.patch(path, json={"html": "<p>Another</p>"}))
    await told(api.patch(path, json={"subject": "u"}))
    assert await stale()
    await told(api.post(f"{path}/approve"))
    await told(api.post(f"{path}/unapprove"))
    assert await stale()
    await told(api.put(f"{path}/plain-text", json={"plain_text": "y"}))
    assert not await stale()


async def test_a_text_needs_a_draft_that_has_content(api: httpx.AsyncClient) -> None:
    text = {"plain_text": "x"}
    path = await draft(api)
    await told(api.post(f"{path}/approve"))
    assert await code(api.put(f"{path}/plain-text", json=text)) == (409, "email_not_editable")
    assert await code(api.delete(f"{path}/plain-text")) == (409, "email_not_editable")
    bare = f"/v1/emails/{(await told(api.post('/v1/emails', json={'name': 'n'}), 201))['email_id']}"
    assert await code(api.put(f"{bare}/plain-text", json=text)) == (400, "email_not_ready")
    assert await code(api.delete(f"{bare}/plain-text")) == (400, "email_not_ready")
    assert (await told(api.get(f"{bare}/plain-text")))["plain_text"] == ""
    unknown = f"/v1/emails/{uuid4()}/plain-text"
    for call in (api.get(unknown), api.put(unknown, json=text), api.delete(unknown)):
        assert await code(call) == (404, "email_not_found")
    for wrong in ({}, {"plain_text": None}, {"plain_text": "x", "colour": "red"}):
        assert await code(api.put(f"{path}/plain-text", json=wrong)) == (400, "invalid_request")


async def test_what_a_mail_names_and_lacks_is_told_at_activation(api: httpx.AsyncClient) -> None:
    path = await draft(api, subject="{{contact.plan_of_hers}}")
    await told(api.put(f"{path}/plain-text", json={"plain_text": ""}))
    await told(api.post(f"{path}/approve"))
    step = {"step_id": "s", "type": "send_email", "email_id": path.rsplit("/", 1)[1]}
    flow = await told(api.post("/v1/email-flows", json={"name": "n", "steps": [step]}), 201)
    activate = f"/v1/email-flows/{flow['flow_id']}/activate"
    found = (await api.post(activate)).json()["details"]["activation_readiness"]
    assert found == {
        "ready": False, "missing": ["flow_nodes.0.email_tokens"],
        "warnings": ["triggers", "flow_nodes.0.email_plain_text"],
    }  # fmt: skip
    field = {"name": "Plan of hers", "api_name": "plan_of_hers", "type": "text"}
    await told(api.post("/v1/custom-fields", json=field), 201)
    assert (await told(api.post(activate)))["status"] == "active"
