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


async def test_the_native_api_shows_only_its_own(api: httpx.AsyncClient) -> None:
    flow = await create_here(api, steps=[PAUSE])
    assert (await api.get("/v1/email-flows")).json()["flows"] == []
    unseen = await api.get(f"/v1/email-flows/{flow['flow_id']}")
    assert (unseen.status_code, unseen.json()["error_code"]) == (404, "campaign_not_found")
    assert "/v1/flows" in unseen.json()["error"]


async def test_each_dialect_has_its_own_document_and_errors(api: httpx.AsyncClient) -> None:
    assert "/v1/flows" in (await api.get("/v1/flows/openapi.json")).json()["paths"]
    native = (await api.get("/openapi.json")).json()["paths"]
    assert "/v1/email-flows" in native
    assert "/v1/flows" not in native
    api.headers["Authorization"] = "Bearer nonsense"
    assert (await api.get("/v1/flows")).json() == {"error": "Unauthorized", "code": "unauthorized"}
    assert (await api.get("/v1/email-flows")).json()["error_code"] == "unauthorized"
