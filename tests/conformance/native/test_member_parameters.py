"""`GET …/members`: its parameters one by one; what an entry holds, and the details of a run."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.native import (
    IN_ROME,
    MEMBERSHIP_KEYS,
    OUT,
    WAIT,
    Json,
    active,
    code,
    enter,
    issue,
    members,
    new_contact,
    new_field,
    refused,
    told,
)
from tests.support.waiting import wait_until

_CHECK: Json = {"step_id": "c", "type": "condition_check", "condition": IN_ROME, "label": "Rome?",
                "true_step_id": "out", "default_step_id": "w"}  # fmt: skip
STEPS = [_CHECK, {**WAIT, "label": "A week"}, OUT]
Cast = dict[str, Json]
ENTRY_KEYS = [*MEMBERSHIP_KEYS, "run_status", "contact", "current_step", "exited_at",
              "executed_steps"]  # fmt: skip


@pytest.fixture
def flow(api: httpx.Client) -> tuple[str, Cast]:
    """A flow, and who is in it: one waits, one was dropped by a step, one removed."""
    path = active(api, steps=STEPS)
    cast = {
        name: enter(api, path, new_contact(api, city=city))
        for name, city in (("waiting", "Oslo"), ("dropped", "Rome"), ("removed", "Oslo"))
    }
    told(api.delete(f"{path}/contacts/{cast['removed']['contact_id']}"))
    wait_until(lambda: len(members(api, path, status="dropped")) == 2, "all are listed", 30)
    return path, cast


def listed(api: httpx.Client, flow: tuple[str, Cast], **asked: Any) -> list[str]:
    """Give who is listed, by their names in the cast."""
    path, cast = flow
    by_id = {one["membership_id"]: name for name, one in cast.items()}
    return [by_id[one["membership_id"]] for one in members(api, path, **asked)]


def test_status_and_run_status(api: httpx.Client, flow: tuple[str, Cast]) -> None:
    newest_first = ["removed", "dropped", "waiting"]
    assert listed(api, flow) == newest_first
    for asked, expected in (
        ({"status": "any"}, newest_first),
        ({"status": "active"}, []),
        ({"status": "waiting"}, ["waiting"]),
        ({"status": "completed"}, []),
        ({"status": "dropped"}, ["removed", "dropped"]),
        ({"run_status": "any"}, newest_first),
        ({"run_status": "in_flow"}, ["waiting"]),
        ({"run_status": "completed"}, []),
        ({"run_status": "failed"}, []),
        ({"run_status": "exited_flow"}, ["removed", "dropped"]),
        ({"status": "waiting", "run_status": "exited_flow"}, []),
    ):
        assert listed(api, flow, **asked) == expected, asked


def test_completed_runs(api: httpx.Client) -> None:
    path = active(api, steps=[{"step_id": "u", "type": "update_contact", "field": "city",
                               "value": "Rome"}])  # fmt: skip
    membership = enter(api, path, new_contact(api))
    assert (membership["status"], membership["current_step_id"]) == ("completed", None)
    assert membership["completed_at"].endswith("Z")
    assert (membership["dropped_at"], membership["drop_reason"]) == (None, None)
    wait_until(lambda: members(api, path) != [], "the member is listed", 30)
    for asked in ({"status": "completed"}, {"run_status": "completed"}):
        (entry,) = members(api, path, **asked)
        assert (entry["run_status"], entry["current_step"]) == ("completed", None)
        assert entry["exited_at"] == entry["completed_at"]
    assert members(api, path, status="dropped") == []


def test_entered_and_exited(api: httpx.Client, flow: tuple[str, Cast]) -> None:
    """`entered_from`, `entered_to`, `exited_from`, `exited_to`: both ends count."""
    path, cast = flow
    entered = {name: one["entered_at"] for name, one in cast.items()}
    assert listed(api, flow, entered_from=entered["dropped"]) == ["removed", "dropped"]
    assert listed(api, flow, entered_to=entered["dropped"]) == ["dropped", "waiting"]
    only = {"entered_from": entered["dropped"], "entered_to": entered["dropped"]}
    assert listed(api, flow, **only) == ["dropped"]
    exits = sorted(one["exited_at"] for one in members(api, path) if one["exited_at"])
    assert listed(api, flow, exited_from=exits[0]) == ["removed", "dropped"]
    assert listed(api, flow, exited_to=exits[0]) == ["dropped"]
    assert listed(api, flow, exited_from="2999-01-01T00:00:00Z") == []
    elsewhere = entered["dropped"].replace("Z", "+00:00")
    assert listed(api, flow, entered_from=elsewhere) == ["removed", "dropped"]


def test_page_and_limit(api: httpx.Client, flow: tuple[str, Cast]) -> None:
    path, _ = flow
    for page, expected in ((1, ["removed", "dropped"]), (2, ["waiting"]), (3, [])):
        assert listed(api, flow, page=page, limit=2) == expected
    answer = told(api.get(f"{path}/members", params={"page": 2, "limit": 2}))
    assert list(answer) == ["members", "pagination"]
    whole = {"page": 2, "limit": 2, "total": 3, "total_pages": 2}
    assert whole.items() <= answer["pagination"].items()
    assert told(api.get(f"{path}/members"))["pagination"]["limit"] == 25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "odd"), ("status", "in_flow"), ("run_status", "odd"), ("run_status", "waiting"),
        ("entered_from", "soon"), ("entered_to", "soon"), ("exited_from", "soon"),
        ("exited_to", "7 days"), ("page", 0), ("page", "x"), ("limit", 0), ("limit", 101),
    ],
)  # fmt: skip
def test_what_a_parameter_does_not_take_is_refused_by_name(
    api: httpx.Client, name: str, value: Any
) -> None:
    answer = api.get(f"{active(api)}/members", params={name: value})
    assert issue(answer) == refused(name)


def test_an_entry(api: httpx.Client, flow: tuple[str, Cast]) -> None:
    """Contact identity, run status, current step, timestamps, steps executed so far."""
    path, cast = flow
    removed, dropped, waiting = members(api, path)
    assert list(waiting) == ENTRY_KEYS
    assert {name: waiting[name] for name in MEMBERSHIP_KEYS} == cast["waiting"]
    email = told(api.get(f"/v1/contacts/{waiting['contact_id']}"))["fields"]["email"]
    assert waiting["contact"] == {
        "contact_id": waiting["contact_id"], "email": email, "phone": None,
        "display_name": None, "first_name": "Ada", "last_name": None,
    }  # fmt: skip
    assert (waiting["run_status"], waiting["exited_at"]) == ("in_flow", None)
    assert waiting["current_step"] == {"step_id": "w", "type": "wait", "label": "A week"}
    assert waiting["waiting_until"].endswith("Z")
    (executed,) = waiting["executed_steps"]
    assert executed == {"step_id": "c", "type": "condition_check", "label": "Rome?",
                        "executed_at": executed["executed_at"], "outcome": "false"}  # fmt: skip
    assert (dropped["drop_reason"], dropped["current_step"]) == ("drop_from_flow", None)
    assert dropped["exited_at"] == dropped["dropped_at"]
    assert (removed["drop_reason"], removed["run_status"]) == ("removed_by_api", "exited_flow")


def test_run_details(api: httpx.Client) -> None:
    """One member's full run, with a timeline of events, oldest first."""
    context = {"couponCode": "SAVE20", "n": 3, "ok": True, "none": None}
    path, contact_id = active(api, steps=STEPS), new_contact(api)
    entered = enter(api, path, contact_id, dynamic_context=context)
    told(api.delete(f"{path}/contacts/{contact_id}"))
    where = f"{path}/members/{entered['membership_id']}"
    wait_until(lambda: members(api, path, status="dropped") != [], "the exit is listed", 30)
    answer = told(api.get(where))
    assert list(answer) == ["membership"]
    run = answer["membership"]
    assert list(run) == [*ENTRY_KEYS, "failure", "dynamic_context", "timeline"]
    assert (run["failure"], run["dynamic_context"]) == (None, context)
    timeline = run["timeline"]
    assert list(timeline[0]) == ["sequence", "type", "step_id", "label", "occurred_at", "details"]
    assert [(one["sequence"], one["type"], one["step_id"]) for one in timeline] == [
        (1, "entered_flow", None), (2, "step_executed", "c"), (3, "waiting", "w"),
        (4, "dropped", timeline[3]["step_id"]),
    ]  # fmt: skip
    assert sorted(one["occurred_at"] for one in timeline) == [
        one["occurred_at"] for one in timeline
    ]


def test_a_failed_run_is_dropped(api: httpx.Client) -> None:
    """`run_status` `failed`: dropped because a step failed; `failure` says which and why."""
    name = new_field(api, "text")["api_name"]
    hook = {"step_id": "h", "type": "send_webhook", "endpoint_url": "http://127.0.0.1:9/x",
            "method": "get", "custom_fields": {"big": f"{{{{contact.{name}}}}}"},
            "on_failure": "drop"}  # fmt: skip
    path = active(api, steps=[hook])
    contact_id = new_contact(api, custom_fields={name: "x" * 9000})  # beyond what GET may carry
    membership = enter(api, path, contact_id)
    wait_until(lambda: members(api, path, run_status="failed") != [], "it has failed", 60)
    (entry,) = members(api, path)
    assert (entry["status"], entry["drop_reason"]) == ("dropped", "step_failed")
    run = told(api.get(f"{path}/members/{membership['membership_id']}"))["membership"]
    assert run["failure"]["step_id"] == "h"
    assert list(run["failure"]) == ["step_id", "code", "message", "at"]


def test_unknown_members_are_not_found(api: httpx.Client) -> None:
    path = active(api)
    answer = api.get(f"{path}/members/{uuid4()}")
    assert code(answer) == (404, "campaign_flow_membership_not_found")
    assert issue(api.get(f"{path}/members/x")) == refused("membership_id")
