"""The native API on a database alone: what it publishes reaches its own directory at once."""

from typing import Any

import httpx
import pytest

from libs.chassis.postgres.pool import Pool
from tests.integration.api.messages import DROPPED, a_journey, a_refusal, tell
from tests.support.builders import CONTACT, NOW, Json, native_steps

MAIL = {"name": "n", "subject": "s", "from_name": "f", "from_address": "f@x.example", "html": "x"}


async def create(api: httpx.AsyncClient, **changes: Any) -> Json:
    answer = await api.post("/v1/email-flows", json={"name": "n", **changes})
    assert answer.status_code == 201, answer.text
    created: Json = answer.json()
    return created


def issue(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["details"]["issues"][0]["path"]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


async def test_what_users_send_is_read_strictly(api: httpx.AsyncClient) -> None:
    odd, step = {"colour": "red"}, native_steps()[1]
    flow = await create(api, steps=native_steps())
    path = f"/v1/email-flows/{flow['flow_id']}"
    for call, where in (
        (api.post("/v1/email-flows", json={"name": "n", **odd}), "colour"),
        (api.post("/v1/email-flows", json={"name": "n", "steps": [{**step, **odd}]}),
         "steps.0.colour"),
        (api.patch(path, json=odd), "colour"),
        (api.patch(path, json={"steps": [{**step, "type": "telepathy"}]}), "steps.0.type"),
        (api.put(f"{path}/triggers", json={"triggers": [{"type": "telepathy"}]}),
         "triggers.0.type"),
        (api.put(f"{path}/steps", json={"steps": [{**step, **odd}]}), "steps.0.colour"),
        (api.post(f"{path}/steps", json={"step": {**step, **odd}}), "step.colour"),
        (api.post(f"{path}/steps", json={"step": {"step_id": "x", "type": "telepathy"}}),
         "step.type"),
        (api.patch(f"{path}/steps/wait-3-days", json={"step": odd}), "step.colour"),
    ):  # fmt: skip
        assert issue(await call) == (400, where)


async def test_flows_are_listed_sorted_and_paged(api: httpx.AsyncClient) -> None:
    for name in "bac":
        await create(api, name=f"Flow {name}")
    asked: Json = {"sort_by": "name", "sort_order": "asc", "limit": 2, "search": "fLoW"}
    told = (await api.get("/v1/email-flows", params=asked)).json()
    assert [flow["name"] for flow in told["flows"]] == ["Flow a", "Flow b"]
    assert told["pagination"] == {"page": 1, "limit": 2, "total": 3, "total_pages": 2}
    told = (await api.get("/v1/email-flows", params={**asked, "page": 9})).json()
    assert (told["flows"], told["pagination"]["total"]) == ([], 3)
    told = (await api.get("/v1/email-flows", params={"sort_by": "created_at"})).json()
    assert [flow["name"] for flow in told["flows"]] == ["Flow c", "Flow a", "Flow b"]
    assert (await api.get("/v1/email-flows?status=active")).json()["pagination"]["total"] == 0


async def test_a_mail_in_use_stays_approved(api: httpx.AsyncClient) -> None:
    email_id = (await api.post("/v1/emails", json=MAIL)).json()["email_id"]
    assert (await api.post(f"/v1/emails/{email_id}/approve")).json()["status"] == "approved"
    listed = (await api.get("/v1/emails?limit=1")).json()
    assert (listed["emails"][0]["email_id"], listed["pagination"]["total"]) == (email_id, 1)
    assert (await api.get("/v1/emails?page=2")).json()["emails"] == []
    steps = [{"step_id": "s", "type": "send_email", "email_id": email_id}]
    flow = await create(api, steps=steps, settings={"not_a_step": email_id})
    path = f"/v1/email-flows/{flow['flow_id']}"
    assert (await api.post(f"{path}/activate")).json()["status"] == "active"
    refused = await api.post(f"/v1/emails/{email_id}/unapprove")
    assert code(refused) == (409, "email_in_use")
    assert refused.json()["details"]["flow_ids"] == [flow["flow_id"]]
    assert (await api.post(f"{path}/pause")).json()["status"] == "paused"
    assert (await api.patch(path, json={"steps": []})).status_code == 200
    assert (await api.post(f"/v1/emails/{email_id}/unapprove")).json()["status"] == "draft"
    assert (await api.post(f"{path}/archive")).json()["archived_at"] is not None
    assert (await api.delete(path)).json()["deleted"] is True


AT = "2026-07-02T09:00:00.000Z"


async def test_a_run_is_told_in_full(api: httpx.AsyncClient, api_pool: Pool) -> None:
    flow = await create(api, steps=[{**native_steps()[1], "step_id": "w", "label": "W"}])
    path = f"/v1/email-flows/{flow['flow_id']}"
    journey = a_journey(flow_id=flow["flow_id"], context={"a": 1, "b": None})
    said: Json = {"reason": "550 no such user"}
    dropped: Json = {"ended_at": NOW, "drop_reason": "step_failed"}
    entered = journey.enters()
    failed = journey.walks([("step_failed", said), DROPPED], "dropped", **dropped)
    await tell(api_pool, entered, failed)
    member = {
        "membership_id": str(journey.membership_id), "flow_id": flow["flow_id"],
        "contact_id": str(CONTACT), "status": "dropped", "current_step_id": "w",
        "waiting_until": None, "entry_source": "contact_created", "entered_at": AT,
        "completed_at": None, "dropped_at": AT, "drop_reason": "step_failed", "updated_at": AT,
        "run_status": "failed",
        "contact": {"contact_id": str(CONTACT), "email": None, "phone": None,
                    "display_name": None, "first_name": None, "last_name": None},
        "current_step": {"step_id": "w", "type": "wait", "label": "W"}, "exited_at": AT,
        "executed_steps": [],
    }  # fmt: skip
    assert (await api.get(f"{path}/members")).json()["members"] == [member]
    told = (await api.get(f"{path}/members/{journey.membership_id}")).json()["membership"]
    kinds = ["entered_flow", "waiting", "step_failed", "dropped"]
    details = [*(entry.details for entry in entered.timeline), said, DROPPED[1]]
    assert told == {
        **member,
        "failure": {"step_id": "w", "code": "step_failed", "message": said["reason"], "at": AT},
        "dynamic_context": {"a": 1, "b": None},
        "timeline": [
            {"sequence": number, "type": kind, "step_id": "w", "label": None, "occurred_at": AT,
             "details": detail}
            for number, (kind, detail) in enumerate(zip(kinds, details, strict=True), 1)
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "goes_on", "code_of_it"),
    [
        ("going_in_circles", False, "going_in_circles"),
        ("step_failed", True, "step_failed"),
        ("removed_by_api", False, None),
    ],
)
async def test_what_failed_is_told(
    api: httpx.AsyncClient, api_pool: Pool, reason: str, goes_on: bool, code_of_it: str | None
) -> None:
    path = f"/v1/email-flows/{(flow := await create(api))['flow_id']}"
    journey = a_journey(flow_id=flow["flow_id"])
    await tell(api_pool, journey.enters())
    if goes_on:
        await tell(api_pool, journey.walks([("step_failed", {"reason": "r"})], "waiting"))
    else:
        await tell(api_pool, journey.is_dropped(reason))
    told = (await api.get(f"{path}/members/{journey.membership_id}")).json()["membership"]
    failure = told["failure"]
    assert (failure and failure["code"]) == code_of_it
    assert failure is None or all(failure.values())


async def test_the_label_of_a_removed_step_is_that_of_the_time(
    api: httpx.AsyncClient, api_pool: Pool
) -> None:
    path = f"/v1/email-flows/{(flow := await create(api))['flow_id']}"
    journey = a_journey(flow_id=flow["flow_id"])
    ended = journey.completes()
    entries = [one.model_copy(update={"label": "Was here"}) for one in ended.timeline]
    first = [one.model_copy(update={"sequence": at}) for at, one in enumerate(entries, 1)]
    await tell(api_pool, ended.model_copy(update={"timeline": first}))
    (member,) = (await api.get(f"{path}/members")).json()["members"]
    assert member["executed_steps"][0]["label"] == "Was here"
    assert member["executed_steps"][0]["type"] is None


async def test_members_and_refusals_are_shown(api: httpx.AsyncClient, api_pool: Pool) -> None:
    items = [{"email": "ada@x.example", "first_name": "Ada"}]
    created = (await api.post("/v1/contacts", json={"items": items})).json()
    contact = created["results"][0]["contact_id"]
    flow = await create(api, steps=[{**native_steps()[1], "step_id": "w", "label": "W"}])
    journey = a_journey(contact_id=contact, flow_id=flow["flow_id"], context={"a": 1})
    await tell(api_pool, journey.enters(), journey.completes(), a_refusal(contact_id=contact))
    path = f"/v1/email-flows/{flow['flow_id']}/members"
    (member,) = (await api.get(path)).json()["members"]
    assert (member["run_status"], member["contact"]["first_name"]) == ("completed", "Ada")
    assert member["executed_steps"] == [
        {"step_id": "w", "type": "wait", "label": "W", "executed_at": "2026-07-02T09:00:00.000Z",
         "outcome": "waited"},
    ]  # fmt: skip
    details = (await api.get(f"{path}/{journey.membership_id}")).json()["membership"]
    assert (details["dynamic_context"], details["failure"]) == ({"a": 1}, None)
    assert [(one["sequence"], one["type"]) for one in details["timeline"]] == [
        (1, "entered_flow"), (2, "waiting"), (3, "step_executed"), (4, "completed"),
    ]  # fmt: skip
    assert (await api.get(f"/v1/email-flows/{flow['flow_id']}")).json()["details"] == {
        "total_entered": 1, "active_count": 0, "waiting_count": 0, "completed_count": 1,
        "dropped_count": 0, "most_recent_entry_at": "2026-07-02T09:00:00.000Z",
    }  # fmt: skip
    (refusal,) = (await api.get(f"/v1/refusals?contact_id={contact}")).json()["refusals"]
    assert refusal["reason"] == "already_in_flow"
