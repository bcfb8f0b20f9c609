"""`/v1/flows` on a database alone: the engine's own language, and flows of other homes."""

from typing import Any

import httpx

from tests.integration.api.test_routes import create
from tests.support.builders import FOLLOWUP, LIST, WELCOME, WELCOME_STEPS, Json, native_steps

PAUSE: Json = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "days"}
NOT_IN_ROME: Json = {
    "rule": {"kind": "condition", "source": "contact_field", "field": "city",
             "operator": "equals", "value": "Rome"},
    "wants": False,
    "at": ["entry", "step"],
    "reason": "in_rome",
}  # fmt: skip


async def create_here(api: httpx.AsyncClient, **changes: Any) -> Json:
    answer = await api.post("/v1/flows", json={"name": "n", **changes})
    assert answer.status_code == 201, answer.text
    created: Json = answer.json()
    return created


async def test_a_flow_comes_back_as_it_was_written(api: httpx.AsyncClient) -> None:
    trigger = {"trigger_id": "new", "type": "contact_created"}
    written: Json = {
        "description": "d", "triggers": [trigger], "guards": [NOT_IN_ROME], "reentry": "once",
        "steps": WELCOME_STEPS, "settings": {"colour": "red"},
    }  # fmt: skip
    flow = await create_here(api, **written)
    assert {name: flow[name] for name in written} == written
    assert (flow["dialect"], flow["status"], flow["version"]) == ("engine", "draft", 1)
    path = f"/v1/flows/{flow['flow_id']}"
    assert (await api.get(path)).json() == flow
    changed = (await api.patch(path, json={"description": None, "reentry": "always"})).json()
    assert (changed["description"], changed["reentry"], changed["version"]) == (None, "always", 2)
    listed = (await api.get("/v1/flows?dialect=engine&search=N")).json()
    assert [one["flow_id"] for one in listed["flows"]] == [flow["flow_id"]]
    assert (await api.delete(path)).json() == {"flow_id": flow["flow_id"], "deleted": True}
    gone = await api.get(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "flow_not_found")


async def test_a_trigger_without_a_name_is_given_one(api: httpx.AsyncClient) -> None:
    (trigger,) = (await create_here(api, triggers=[{"type": "contact_created"}]))["triggers"]
    assert trigger["trigger_id"]


async def test_what_is_wrong_is_named(api: httpx.AsyncClient) -> None:
    for changes, path in (
        ({"colour": "red"}, "colour"),
        ({"steps": [{**PAUSE, "colour": "red"}]}, "steps.0.colour"),
        ({"steps": [{**PAUSE, "next_step_id": "x"}]}, "steps.0.next_step_id"),
        ({"steps": [{**PAUSE, "edges": {"true": "x"}}]}, "steps.0.edges.true"),
        ({"steps": [{"step_id": "t", "type": "telepathy"}]}, "steps.0.type"),
        ({"guards": [{**NOT_IN_ROME, "at": []}]}, "guards.0.at"),
        ({"steps": [PAUSE, PAUSE]}, "body"),
    ):  # fmt: skip
        refused = await api.post("/v1/flows", json={"name": "n", **changes})
        assert refused.status_code == 400, refused.text
        body = refused.json()
        assert (body["code"], body["details"]["issues"][0]["path"]) == ("invalid_request", path)


async def test_there_are_limits(api: httpx.AsyncClient) -> None:
    steps = [{**PAUSE, "step_id": f"s{number}"} for number in range(1001)]
    refused = await api.post("/v1/flows", json={"name": "n", "steps": steps})
    assert (refused.status_code, refused.json()["error"]) == (400, "steps: at most 1000")


async def test_validation_says_what_is_missing_and_activation_insists(
    api: httpx.AsyncClient,
) -> None:
    lost = {**PAUSE, "step_id": "lost"}
    steps = [{**PAUSE, "edges": {"next": "gone"}}, lost, {"step_id": "s", "type": "send_email"}]
    path = f"/v1/flows/{(await create_here(api, steps=steps))['flow_id']}"
    found = (await api.post(f"{path}/validate")).json()
    assert found == {
        "ready": False,
        "missing": [
            {"path": "steps.0.edges.next", "code": "unknown"},
            {"path": "steps.2.email_id", "code": "missing"},
        ],
        "warnings": [
            {"path": "triggers", "code": "no_trigger"},
            {"path": "steps.1", "code": "unreachable"},
            {"path": "steps.2", "code": "unreachable"},
        ],
    }
    refused = await api.post(f"{path}/activate")
    assert (refused.status_code, refused.json()["code"]) == (400, "flow_not_ready")
    assert refused.json()["details"] == {"readiness": found}


async def test_a_flow_lives(api: httpx.AsyncClient) -> None:
    path = f"/v1/flows/{(await create_here(api, steps=[PAUSE]))['flow_id']}"
    assert (await api.post(f"{path}/activate")).json()["status"] == "active"
    refused = await api.patch(path, json={"steps": []})
    assert (refused.status_code, refused.json()["code"]) == (409, "flow_not_editable")
    assert (await api.patch(path, json={"guards": [NOT_IN_ROME]})).json()["version"] == 3
    assert (await api.post(f"{path}/pause")).json()["status"] == "paused"
    again = await api.post(f"{path}/pause")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_flow_status")
    assert (await api.get(f"{path}/members")).json()["pagination"]["total"] == 0
    assert (await api.post(f"{path}/archive")).json()["status"] == "archived"


async def test_flows_of_other_homes_are_read_here_and_edited_there(api: httpx.AsyncClient) -> None:
    there = await create(
        api, steps=native_steps(), triggers=[{"type": "added_to_static_list", "list_id": str(LIST)}]
    )
    path = f"/v1/flows/{there['flow_id']}"
    here = (await api.get(path)).json()
    assert here["dialect"] == "native"
    assert here["steps"] == WELCOME_STEPS
    assert {step.get("email_id") for step in here["steps"]} >= {str(WELCOME), str(FOLLOWUP)}
    refused = await api.patch(path, json={"name": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (409, "flow_edited_elsewhere")
    assert refused.json()["details"] == {"dialect": "native", "path": "/v1/email-flows"}
    assert (await api.delete(path)).status_code == 200


async def listed_natively(api: httpx.AsyncClient) -> tuple[list[str], int]:
    told = (await api.get("/v1/email-flows")).json()
    return [one["flow_id"] for one in told["flows"]], told["pagination"]["total"]


async def test_the_native_api_shows_what_it_can_express(api: httpx.AsyncClient) -> None:
    seen = await create_here(api, steps=WELCOME_STEPS, description="d", settings={"colour": "red"})
    path = f"/v1/email-flows/{seen['flow_id']}"
    unseen = await create_here(api, steps=[PAUSE], guards=[NOT_IN_ROME])
    here = (await api.get(path)).json()
    assert here["steps"] == native_steps()
    assert (here["description"], here["settings"]) == ("d", {"colour": "red"})
    assert await listed_natively(api) == ([seen["flow_id"]], 1)
    there = f"/v1/email-flows/{unseen['flow_id']}"
    for answer in (await api.get(there), await api.post(f"{there}/archive"),
                   await api.get(f"{there}/members")):  # fmt: skip
        assert (answer.status_code, answer.json()["error_code"]) == (404, "campaign_not_found")
        assert "/v1/flows" in answer.json()["error"]


async def test_what_can_be_expressed_is_judged_at_every_write(api: httpx.AsyncClient) -> None:
    flow_id = (await create_here(api, steps=[PAUSE]))["flow_id"]
    assert await listed_natively(api) == ([flow_id], 1)
    await api.patch(f"/v1/flows/{flow_id}", json={"guards": [NOT_IN_ROME]})
    assert await listed_natively(api) == ([], 0)
    await api.patch(f"/v1/flows/{flow_id}", json={"guards": None})
    assert await listed_natively(api) == ([flow_id], 1)


async def test_a_flow_of_another_home_lives_in_the_native_api_and_is_edited_at_home(
    api: httpx.AsyncClient,
) -> None:
    flow = await create_here(api, steps=[PAUSE])
    path = f"/v1/email-flows/{flow['flow_id']}"
    step = native_steps()[1]
    for call in (
        api.patch(path, json={"name": "mine"}),
        api.put(f"{path}/steps", json={"steps": [step]}),
        api.put(f"{path}/triggers", json={"triggers": []}),
        api.post(f"{path}/steps", json={"step": step}),
        api.patch(f"{path}/steps/w", json={"step": {"label": "l"}}),
        api.delete(f"{path}/steps/w"),
        api.put(f"{path}/steps/w/email", json={"source": "inline"}),
    ):
        refused = await call
        assert (refused.status_code, refused.json()["error_code"]) == (409, "campaign_not_editable")
        assert refused.json()["details"] == {"dialect": "engine", "path": "/v1/flows"}
    assert (await api.get(f"/v1/flows/{flow['flow_id']}")).json()["version"] == 1
    assert (await api.post(f"{path}/activate")).json()["status"] == "active"
    assert (await api.get(f"{path}/members")).json()["members"] == []
    paused = (await api.post(f"{path}/pause")).json()
    assert (paused["status"], [one["step_id"] for one in paused["steps"]]) == ("paused", ["w"])
    assert (await api.delete(path)).json() == {"flow_id": flow["flow_id"], "deleted": True}


async def test_a_token_of_another_home_is_not_shown(api: httpx.AsyncClient) -> None:
    hook = {"step_id": "h", "type": "send_webhook", "url": "https://x.example/h", "auth": "jwt",
            "token": "secret"}  # fmt: skip
    flow = await create_here(api, steps=[hook])
    (step,) = (await api.get(f"/v1/email-flows/{flow['flow_id']}")).json()["steps"]
    assert step == {
        "step_id": "h", "type": "send_webhook", "endpoint_url": "https://x.example/h",
        "auth_type": "jwt", "token_set": True,
    }  # fmt: skip


async def test_each_dialect_has_its_own_document_and_errors(api: httpx.AsyncClient) -> None:
    assert "/v1/flows" in (await api.get("/v1/flows/openapi.json")).json()["paths"]
    native = (await api.get("/openapi.json")).json()["paths"]
    assert "/v1/email-flows" in native
    assert "/v1/flows" not in native
    api.headers["Authorization"] = "Bearer nonsense"
    assert (await api.get("/v1/flows")).json() == {"error": "Unauthorized", "code": "unauthorized"}
    assert (await api.get("/v1/email-flows")).json()["error_code"] == "unauthorized"
