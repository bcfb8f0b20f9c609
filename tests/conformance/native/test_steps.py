"""The step types: what each is configured with, and what of it may be wrong or missing."""

from typing import Any

import httpx
import pytest

from tests.support.native import (
    FLOWS,
    IN_ROME,
    NOBODY,
    OUT,
    WAIT,
    Json,
    a_draft,
    active,
    create,
    enter,
    issue,
    new_contact,
    new_email,
    new_field,
    new_list,
    path_of,
    readiness,
    refused,
    told,
)
from tests.support.waiting import wait_until

_SEND: Json = {"type": "send_email", "email_id": NOBODY}
_DURATION: Json = {"type": "wait", "duration_amount": 3, "duration_unit": "days"}
_UNTIL_DATE: Json = {"type": "wait", "until_date_field": "renewal"}
_UNTIL: Json = {"type": "wait", "condition": IN_ROME}
_UPDATE: Json = {"type": "update_contact", "updates": [{"field": "city", "value": "Rome"}]}
_CHECK: Json = {"type": "condition_check", "condition": IN_ROME}
_HOOK: Json = {"type": "send_webhook", "endpoint_url": "https://hooks.example.com/x?a=1"}
_TENT: Json = {"type": "create_tent", "prompt": "A page for {{contact.firstName}}"}
_JWT: Json = {**_HOOK, "auth_type": "jwt"}


def _kind(value: Any) -> str | None:
    return " ".join(map(str, value)) if isinstance(value, dict) else None


@pytest.mark.parametrize(
    "step",
    [
        {**_SEND, "operational": True, "next_step_id": "w"},
        {"type": "send_email"},
        *({**_DURATION, "duration_unit": unit} for unit in ("minutes", "hours", "days", "weeks")),
        {**_DURATION, "duration_amount": 730},
        {**_UNTIL_DATE, "trigger_time": "09:30", "timezone": "Europe/Oslo"},
        {**_UNTIL, "timeout_amount": 2, "timeout_unit": "days", "timeout_step_id": "w"},
        {"type": "update_contact", "updates": [
            {"field": "city", "value": "Rome", "write_mode": "overwrite"},
            {"field": "plan_tier", "value": 3, "write_mode": "skip_if_filled"},
            {"field": "phone", "value": None}]},
        {"type": "update_contact", "field": "city", "value": "Rome"},
        {"type": "add_to_list", "list_id": NOBODY},
        {"type": "remove_from_list", "list_id": NOBODY},
        {**_CHECK, "true_step_id": "w", "false_step_id": None, "default_step_id": "w"},
        {**_HOOK, "method": "put", "auth_type": "none", "custom_fields": {
            "hello": "{{contact.firstName}}", "n": 1, "ok": True, "none": None}},
        {**_JWT, "method": "get", "secret_arn": "arn:aws:secretsmanager:eu-west-1:1:secret:x"},
        {**_TENT, "source": "scratch", "auto_publish": True, "tent_name": "{{contact.lastName}}",
         "custom_page_alias": "hello-{{contact.firstName}}"},
        {"type": "create_tent", "source": "template", "template_id": "tpl_1",
         "auto_publish": False},
        {"type": "drop_from_flow"},
    ],
    ids=_kind,
)  # fmt: skip
def test_a_step_is_accepted_and_comes_back_as_it_was_sent(api: httpx.Client, step: Json) -> None:
    sent = {"step_id": "s", "label": "A label", **step}
    flow = create(api, steps=[sent, WAIT])
    assert flow["steps"] == [sent, WAIT]
    assert list(flow["steps"][0]) == list(sent)


_NO_AMOUNTS = (0, -1, 1.5, "3", 731)
_NO_PUBLIC_URLS = (
    "ftp://x.example/",
    "x",
    "",
    "http://a:b@x.example/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/",
    "http://[fd00::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://hooks.internal/",
)
WRONG: list[tuple[Json, str]] = [
    ({**OUT, "step_id": ""}, "step_id"),
    ({**OUT, "step_id": "s" * 121}, "step_id"),
    ({**OUT, "step_id": 7}, "step_id"),
    ({**OUT, "step_id": None}, "step_id"),
    ({"step_id": "s"}, "type"),
    ({"step_id": "s", "type": "telepathy"}, "type"),
    ({**OUT, "label": "l" * 201}, "label"),
    ({**OUT, "next_step_id": "w"}, "next_step_id"),
    ({**_SEND, "email_id": "x"}, "email_id"),
    ({**_SEND, "operational": "yes"}, "operational"),
    ({**_SEND, "next_step_id": ""}, "next_step_id"),
    ({**_SEND, "true_step_id": "w"}, "true_step_id"),
    ({"type": "add_to_list", "list_id": "x"}, "list_id"),
    ({"type": "add_to_list", "list_ids": [NOBODY]}, "list_ids"),
    ({"type": "remove_from_list", "list_id": 7}, "list_id"),
    ({**_CHECK, "condition": {"kind": "group", "conditions": []}}, "condition.conditions"),
    ({**_CHECK, "next_step_id": "w"}, "next_step_id"),
    ({**_CHECK, "true_step_id": 7}, "true_step_id"),
    *(({**_DURATION, "duration_amount": amount}, "duration_amount") for amount in _NO_AMOUNTS),
    *(
        ({**_UNTIL, "timeout_amount": amount, "timeout_unit": "days"}, "timeout_amount")
        for amount in _NO_AMOUNTS
    ),
    ({**_DURATION, "duration_unit": "years"}, "duration_unit"),
    ({**_UNTIL_DATE, "trigger_time": "09:15"}, "trigger_time"),
    ({**_UNTIL_DATE, "timezone": "Mars/Olympus"}, "timezone"),
    ({**_UNTIL_DATE, "until_date_field": ""}, "until_date_field"),
    ({**_DURATION, "until_date_field": "renewal"}, "until_date_field"),
    ({**_DURATION, "condition": IN_ROME}, "condition"),
    ({**_UNTIL_DATE, "condition": IN_ROME}, "condition"),
    ({**_DURATION, "timeout_amount": 1}, "timeout_amount"),
    ({**_DURATION, "timeout_unit": "days"}, "timeout_unit"),
    ({**_DURATION, "timeout_step_id": "w"}, "timeout_step_id"),
    ({"type": "update_contact", "updates": {"field": "city"}}, "updates"),
    ({"type": "update_contact", "write_mode": "always"}, "write_mode"),
    ({**_DURATION, "trigger_time": "09:00"}, "trigger_time"),
    ({**_UPDATE, "field": "city"}, "field"),
    ({**_UPDATE, "updates": [{"value": "x"}]}, "updates.0.field"),
    ({**_UPDATE, "updates": [{"field": "city", "value": [1]}]}, "updates.0.value"),
    ({**_UPDATE, "updates": [{"field": "city", "mode": "x"}]}, "updates.0.mode"),
    ({**_UPDATE, "updates": [{"field": "city"}] * 51}, "updates"),
    *(({**_HOOK, "endpoint_url": url}, "endpoint_url") for url in _NO_PUBLIC_URLS),
    ({**_HOOK, "method": "patch"}, "method"),
    ({**_HOOK, "auth_type": "basic"}, "auth_type"),
    ({**_HOOK, "token": "t"}, "token"),
    ({**_HOOK, "secret_arn": "arn"}, "secret_arn"),
    ({**_HOOK, "custom_fields": {"contact": 1}}, "custom_fields.contact"),
    ({**_HOOK, "custom_fields": {"x": [1]}}, "custom_fields.x"),
    ({**_HOOK, "custom_fields": {f"k{n}": n for n in range(51)}}, "custom_fields"),
    ({**_HOOK, "on_failure": "retry"}, "on_failure"),
    ({**_TENT, "source": "elsewhere"}, "source"),
    ({**_TENT, "template_id": "tpl_1"}, "template_id"),
    ({**_TENT, "prompt": ""}, "prompt"),
    ({**_TENT, "prompt": "x" * 10_001}, "prompt"),
    ({**_TENT, "auto_publish": "yes"}, "auto_publish"),
    ({**_TENT, "custom_page_alias": "hello"}, "custom_page_alias"),
    *(
        ({**_TENT, "auto_publish": True, "custom_page_alias": alias}, "custom_page_alias")
        for alias in ("Hello", "a b", "-a", "admin", "a" * 101, NOBODY)
    ),
    ({**_TENT, "tent_name": 7}, "tent_name"),
    ({**_TENT, "colour": "red"}, "colour"),
]
"""A step with one thing wrong, and the field that is to be named."""


@pytest.mark.parametrize(("step", "field"), WRONG, ids=lambda value: value
                         if isinstance(value, str) else str(value.get("type")))  # fmt: skip
def test_a_wrong_field_is_refused_by_its_path(api: httpx.Client, step: Json, field: str) -> None:
    sent = {"step_id": "s", **step}
    answer = api.post(FLOWS, json={"name": "n", "steps": [WAIT, sent]})
    assert issue(answer) == refused(f"steps.1.{field}")
    assert len(answer.json()["details"]["issues"]) == 1
    path = a_draft(api, steps=[WAIT])
    inserted = api.post(f"{path}/steps", json={"step": sent})
    assert issue(inserted) == refused(f"step.{field}")


@pytest.mark.parametrize(
    ("step", "missing"),
    [
        ({"type": "send_email"}, ["email_id"]),
        (_SEND, ["email_id"]),
        ({"type": "wait"}, ["wait"]),
        ({"type": "wait", "duration_amount": 1}, ["wait"]),
        ({"type": "wait", "duration_unit": "days"}, ["wait"]),
        ({**_UNTIL, "timeout_amount": 1}, ["timeout_amount"]),
        (_UNTIL_DATE, ["until_date_field"]),
        ({**_UNTIL_DATE, "until_date_field": "city"}, ["until_date_field"]),
        ({"type": "update_contact"}, ["updates"]),
        ({"type": "update_contact", "field": "noSuchField", "value": 1}, ["updates"]),
        ({"type": "add_to_list"}, ["list_id"]),
        ({"type": "remove_from_list", "list_id": NOBODY}, ["list_id"]),
        ({"type": "condition_check"}, ["condition"]),
        ({"type": "send_webhook"}, ["endpoint_url"]),
        (_JWT, ["token"]),
        ({**_JWT, "token": "t", "secret_arn": "arn"}, ["token"]),
        ({"type": "create_tent"}, ["prompt"]),
        ({"type": "create_tent", "source": "template"}, ["template_id"]),
        ({"type": "create_tent", "source": "template", "template_id": "tpl_no"}, ["template_id"]),
        ({**_HOOK, "next_step_id": "nowhere"}, ["next_step_id"]),
        ({**_CHECK, "true_step_id": "x", "false_step_id": "y", "default_step_id": "z"},
         ["true_step_id", "false_step_id", "default_step_id"]),
        ({**_UNTIL, "timeout_amount": 1, "timeout_unit": "days", "timeout_step_id": "x"},
         ["timeout_step_id"]),
    ],
    ids=_kind,
)  # fmt: skip
def test_what_a_step_lacks_is_told_at_activation(
    api: httpx.Client, step: Json, missing: list[str]
) -> None:
    path = a_draft(api, steps=[WAIT, {"step_id": "s", **step}])
    assert readiness(api, path)["missing"] == [f"flow_nodes.1.{name}" for name in missing]


def test_lists_of_steps_are_static(api: httpx.Client) -> None:
    dynamic = new_list(api, kind="dynamic", rules=IN_ROME)
    steps = [{"step_id": kind, "type": kind, "list_id": dynamic}
             for kind in ("add_to_list", "remove_from_list")]  # fmt: skip
    missing = readiness(api, a_draft(api, steps=steps))["missing"]
    assert missing == ["flow_nodes.0.list_id", "flow_nodes.1.list_id"]


def test_the_mail_of_a_step_is_approved_before_activation(api: httpx.Client) -> None:
    email_id = new_email(api, approved=False)
    path = a_draft(api, steps=[{"step_id": "s", "type": "send_email", "email_id": email_id}])
    assert readiness(api, path)["missing"] == ["flow_nodes.0.email_approval"]
    told(api.post(f"/v1/emails/{email_id}/approve"))
    told(api.post(f"{path}/activate"))


def test_a_wait_s_date_is_an_active_date_field(api: httpx.Client) -> None:
    date, text = new_field(api, "date")["api_name"], new_field(api, "text")["api_name"]
    active(api, steps=[{**_UNTIL_DATE, "step_id": "s", "until_date_field": date}])
    path = a_draft(api, steps=[{**_UNTIL_DATE, "step_id": "s", "until_date_field": text}])
    assert readiness(api, path)["missing"] == ["flow_nodes.0.until_date_field"]


def test_the_template_of_a_page_is_approved_before_activation(api: httpx.Client) -> None:
    template = {"name": "Page", "html": "<h1>Hello {{contact.firstName}}</h1>"}
    template_id = told(api.post("/v1/templates", json=template), 201)["template_id"]
    step = {"step_id": "s", "type": "create_tent", "source": "template", "template_id": template_id}
    path = a_draft(api, steps=[step])
    assert readiness(api, path)["missing"] == ["flow_nodes.0.template_id"]
    told(api.post(f"/v1/templates/{template_id}/approve"))
    told(api.post(f"{path}/activate"))


def test_a_token_is_never_shown_and_stays(api: httpx.Client) -> None:
    flow = create(api, steps=[{**_JWT, "step_id": "s", "token": "very-secret"}])
    (shown,) = flow["steps"]
    assert shown == {**_JWT, "step_id": "s", "token_set": True}
    put = api.put(f"{path_of(flow)}/steps", json={"steps": [{**shown, "label": "Call"}]})
    assert told(put)["steps"] == [{**shown, "label": "Call"}]
    told(api.post(f"{path_of(flow)}/activate"))


def test_omitting_the_edge_ends_the_flow_after_the_step(api: httpx.Client) -> None:
    """`next_step_id` left out: the run is completed; `drop_from_flow` drops it instead."""
    update = {**_UPDATE, "step_id": "u"}
    for steps, status, reason in (
        ([update], "completed", None),
        ([{**update, "next_step_id": "out"}, OUT], "dropped", "drop_from_flow"),
    ):
        path = active(api, steps=steps)
        membership = enter(api, path, new_contact(api))
        assert (membership["status"], membership["drop_reason"]) == (status, reason)
        assert membership["current_step_id"] is None


def test_labels_are_shown_in_the_history(api: httpx.Client) -> None:
    path = active(api, steps=[{**WAIT, "label": "A week off"}])
    entered = enter(api, path, new_contact(api))
    details = f"{path}/members/{entered['membership_id']}"
    wait_until(lambda: api.get(details).is_success, "the member is listed", 30)
    timeline = told(api.get(details))["membership"]["timeline"]
    assert [(one["type"], one["label"]) for one in timeline] == [
        ("entered_flow", None), ("waiting", "A week off"),
    ]  # fmt: skip


def test_steps_are_told_apart_by_their_ids(api: httpx.Client) -> None:
    answer = api.post(FLOWS, json={"name": "n", "steps": [WAIT, OUT, WAIT]})
    assert (answer.status_code, answer.json()["error_code"]) == (
        409, "campaign_flow_duplicate_step_id",
    )  # fmt: skip
    create(api, steps=[{**WAIT, "step_id": "s" * 120}, {**WAIT, "step_id": "S" * 120}])
