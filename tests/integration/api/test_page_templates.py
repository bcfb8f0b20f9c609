"""`/v1/templates`, and the steps that make pages of them, as users write both."""

from typing import Any

import httpx
import pytest

from services.api.use_cases.page_templates import MAX_TEMPLATE_CHARACTERS
from tests.integration.api.directory_calls import Json, code, told
from tests.integration.api.test_routes import create

TEMPLATE = {"name": "Offer", "html": "<h1>For {{contact.firstName}}</h1>"}


def a_step(**changes: Any) -> Json:
    return {"step_id": "page", "type": "create_tent", "source": "template", **changes}


async def approved(api: httpx.AsyncClient, **changes: Any) -> str:
    made = await told(api.post("/v1/templates", json={**TEMPLATE, **changes}), 201)
    await told(api.post(f"/v1/templates/{made['template_id']}/approve"))
    return str(made["template_id"])


async def missing(api: httpx.AsyncClient, *steps: Json) -> list[str]:
    flow = await create(api, steps=list(steps))
    refused = await told(api.post(f"/v1/email-flows/{flow['flow_id']}/activate"), 400)
    found: list[str] = refused["details"]["activation_readiness"]["missing"]
    return found


async def test_a_template_is_shown_as_documented(api: httpx.AsyncClient) -> None:
    made = await told(api.post("/v1/templates", json=TEMPLATE), 201)
    assert made["template_id"].startswith("tpl_")
    assert (made["status"], made["version"], made["html"]) == ("draft", 1, TEMPLATE["html"])
    path = f"/v1/templates/{made['template_id']}"
    assert await told(api.get(path)) == made
    listed = await told(api.get("/v1/templates"))
    assert listed["templates"] == [{key: made[key] for key in made if key != "html"}]
    assert listed["pagination"]["total"] == 1


async def test_a_draft_changes_and_an_approved_one_does_not(api: httpx.AsyncClient) -> None:
    path = f"/v1/templates/{await approved(api)}"
    refused = await code(api.patch(path, json={"name": "Other"}))
    assert refused == (409, "template_not_editable")
    await told(api.post(f"{path}/unapprove"))
    changed = await told(api.patch(path, json={"html": "<p>x</p>"}))
    assert (changed["name"], changed["html"], changed["status"]) == ("Offer", "<p>x</p>", "draft")
    assert (await told(api.patch(path, json={"html": ""}), 400))["error_code"] == "invalid_request"
    assert (await told(api.patch(path, json={"odd": 1}), 400))["error_code"] == "invalid_request"
    assert await told(api.delete(path)) == {"template_id": path[14:], "deleted": True}
    assert await code(api.get(path)) == (404, "template_not_found")


async def test_a_template_has_a_limit(api: httpx.AsyncClient) -> None:
    html = "x" * (MAX_TEMPLATE_CHARACTERS + 1)
    assert (await api.post("/v1/templates", json={**TEMPLATE, "html": html})).status_code == 400
    assert (await api.post("/v1/templates", json={**TEMPLATE, "html": html[1:]})).status_code == 201


async def test_a_template_of_an_active_flow_stays(api: httpx.AsyncClient) -> None:
    template_id = await approved(api)
    flow = await create(api, steps=[a_step(template_id=template_id)])
    path = f"/v1/email-flows/{flow['flow_id']}"
    await told(api.post(f"{path}/activate"))
    template = f"/v1/templates/{template_id}"
    assert await code(api.delete(template)) == (409, "template_in_use")
    assert await code(api.post(f"{template}/unapprove")) == (409, "template_in_use")
    await told(api.post(f"{path}/pause"))
    await told(api.delete(template))
    refused = await told(api.post(f"{path}/activate"), 400)
    named = refused["details"]["activation_readiness"]["missing"]
    assert named == ["flow_nodes.0.template_id"]


async def test_what_is_missing_is_named(api: httpx.AsyncClient) -> None:
    draft = (await told(api.post("/v1/templates", json=TEMPLATE), 201))["template_id"]
    assert await missing(
        api,
        a_step(),
        a_step(step_id="b", template_id="tpl_nowhere"),
        a_step(step_id="c", template_id=draft),
        a_step(step_id="d", source="scratch"),
        a_step(step_id="e", source="scratch", prompt="A page"),
    ) == [
        "flow_nodes.0.template_id", "flow_nodes.1.template_id", "flow_nodes.2.template_id",
        "flow_nodes.3.prompt", "flow_nodes.4.prompt",
    ]  # fmt: skip


async def test_a_step_comes_back_as_it_was_sent(api: httpx.AsyncClient) -> None:
    step = a_step(
        template_id="tpl_x", prompt="For {{contact.company}}", auto_publish=True,
        custom_page_alias="{{contact.firstName}}", tent_name="Page", next_step_id=None,
    )  # fmt: skip
    assert (await create(api, steps=[step]))["steps"] == [step]


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto_publish": True, "custom_page_alias": "No Alias"},
        {"auto_publish": True, "custom_page_alias": "api"},
        {"custom_page_alias": "offer"},
        {"source": "scratch", "template_id": "tpl_x"},
        {"source": "somewhere"},
        {"alias": "offer"},
        {"prompt": "x" * 10_001},
    ],
)
async def test_a_wrong_step_is_refused(api: httpx.AsyncClient, wrong: Json) -> None:
    body = {"name": "n", "steps": [a_step(**wrong)]}
    assert await code(api.post("/v1/email-flows", json=body)) == (400, "invalid_request")


async def test_the_engine_speaks_of_it_in_its_own_words(api: httpx.AsyncClient) -> None:
    step = {"step_id": "page", "type": "create_tent", "source": "scratch", "prompt": "A page",
            "auto_publish": True, "alias": "offer", "name": "Page"}  # fmt: skip
    flow = await told(api.post("/v1/flows", json={"name": "n", "steps": [step]}), 201)
    assert flow["steps"] == [step]
    found = await told(api.post(f"/v1/flows/{flow['flow_id']}/validate"))
    assert found["missing"] == [{"path": "steps.0.prompt", "code": "not_configured"}]
    wrong = {"name": "n", "steps": [{**step, "alias": "No Alias"}]}
    assert (await api.post("/v1/flows", json=wrong)).status_code == 400
