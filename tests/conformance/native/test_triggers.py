"""The trigger types: what each is configured with, and what of it may be wrong or missing."""

from typing import Any

import httpx
import pytest

from tests.support.native import (
    FLOWS,
    NOBODY,
    WAIT,
    Json,
    a_draft,
    create,
    issue,
    new_field,
    new_list,
    path_of,
    readiness,
    refused,
    told,
)

_BEFORE: Json = {"type": "date_based", "field": "renewal", "mode": "before_date"}
_AFTER: Json = {"type": "date_based", "field": "renewal", "mode": "after_date"}


@pytest.mark.parametrize(
    "trigger",
    [
        {"type": "added_to_static_list", "list_id": NOBODY},
        {"type": "added_to_static_list"},
        {"type": "removed_from_static_list", "list_id": NOBODY},
        {"type": "contact_created"},
        {"type": "contact_updated", "field": "lifecycleStage"},
        {"type": "contact_updated", "field": "plan_tier", "operator": "changed"},
        {"type": "contact_updated", "field": "leadStatus", "operator": "equals", "value": "hot"},
        {"type": "contact_updated", "field": "tentedScore", "operator": "gte", "value": 80},
        {"type": "contact_updated", "field": "unsubscribed", "operator": "is_true"},
        {"type": "date_based", "field": "createdAt", "mode": "on_date"},
        {**_BEFORE, "days_before": 365},
        {"type": "date_based", "field": "renewal", "mode": "after_date", "days_after": 1,
         "include_anniversaries": True, "trigger_time": "23:30", "timezone": "Europe/Berlin"},
        {"type": "form_submitted", "tent_id": NOBODY, "form_id": "registerForm"},
    ],
    ids=lambda trigger: " ".join(map(str, trigger.values())),
)  # fmt: skip
def test_a_trigger_is_accepted_and_comes_back_as_it_was_sent(
    api: httpx.Client, trigger: Json
) -> None:
    flow = create(api, triggers=[trigger])
    assert flow["triggers"] == [trigger]
    assert list(flow["triggers"][0]) == list(trigger)
    put = api.put(f"{path_of(flow)}/triggers", json={"triggers": [trigger, trigger]})
    assert told(put)["triggers"] == [trigger, trigger]


_UPDATED: Json = {"type": "contact_updated", "field": "leadStatus"}
_DATE: Json = {"type": "date_based", "field": "renewal", "mode": "on_date"}
_FORM: Json = {"type": "form_submitted", "tent_id": NOBODY, "form_id": "f"}
WRONG: list[tuple[Json, str]] = [
    ({}, "type"),
    ({"type": "telepathy"}, "type"),
    ({"type": 7}, "type"),
    ({"type": "added_to_static_list", "list_id": "x"}, "list_id"),
    ({"type": "added_to_static_list", "list_id": NOBODY, "colour": "red"}, "colour"),
    ({"type": "removed_from_static_list", "list_id": "x"}, "list_id"),
    ({"type": "removed_from_static_list", "list_id": NOBODY, "colour": "red"}, "colour"),
    ({"type": "contact_created", "list_id": NOBODY}, "list_id"),
    ({**_UPDATED, "field": ""}, "field"),
    ({**_UPDATED, "field": 7}, "field"),
    ({**_UPDATED, "operator": "sounds_like", "value": "x"}, "operator"),
    ({**_UPDATED, "operator": "greater_than", "value": "x"}, "operator"),
    ({**_UPDATED, "field": "tentedScore", "operator": "gt", "value": "many"}, "value"),
    ({**_UPDATED, "field": "createdAt", "operator": "before", "value": "soon"}, "value"),
    ({**_UPDATED, "operator": "equals", "value": [1]}, "value"),
    ({**_UPDATED, "operator": "equals", "value": "x" * 1001}, "value"),
    ({**_UPDATED, "value": "hot"}, "value"),
    ({**_UPDATED, "colour": "red"}, "colour"),
    ({**_DATE, "field": ""}, "field"),
    ({**_DATE, "mode": "someday"}, "mode"),
    ({**_DATE, "days_before": 1}, "days_before"),
    ({**_DATE, "days_after": 1}, "days_after"),
    *(({**_BEFORE, "days_before": days}, "days_before") for days in (0, 366, 1.5, "7")),
    *(({**_AFTER, "days_after": days}, "days_after") for days in (0, 366, 1.5, "7")),
    ({**_DATE, "include_anniversaries": "yes"}, "include_anniversaries"),
    *(({**_DATE, "trigger_time": at}, "trigger_time") for at in ("9:00", "09:15", "24:00", 9, "")),
    *(({**_DATE, "timezone": zone}, "timezone") for zone in ("Mars/Olympus", "", 7)),
    ({**_DATE, "colour": "red"}, "colour"),
    ({**_FORM, "tent_id": "x"}, "tent_id"),
    ({**_FORM, "form_id": ""}, "form_id"),
    ({**_FORM, "form_id": "f" * 256}, "form_id"),
    ({**_FORM, "colour": "red"}, "colour"),
]
"""A trigger with one thing wrong, and the field that is to be named."""


@pytest.mark.parametrize(
    ("trigger", "field"),
    WRONG,
    ids=lambda value: value if isinstance(value, str) else str(value.get("type")),
)
def test_a_wrong_field_is_refused_by_its_path(api: httpx.Client, trigger: Json, field: str) -> None:
    triggers = [{"type": "contact_created"}, trigger]
    answer = api.post(FLOWS, json={"name": "n", "triggers": triggers})
    assert issue(answer) == refused(f"triggers.1.{field}")
    assert len(answer.json()["details"]["issues"]) == 1


@pytest.mark.parametrize(
    ("trigger", "missing"),
    [
        ({"type": "added_to_static_list"}, ["list_id"]),
        ({"type": "added_to_static_list", "list_id": NOBODY}, ["list_id"]),
        ({"type": "removed_from_static_list"}, ["list_id"]),
        ({"type": "contact_created"}, []),
        ({"type": "contact_updated"}, ["field"]),
        ({"type": "contact_updated", "field": "noSuchField"}, ["field"]),
        ({"type": "contact_updated", "field": "city", "operator": "equals"}, ["value"]),
        ({"type": "date_based"}, ["field", "mode"]),
        ({"type": "date_based", "field": "city", "mode": "on_date"}, ["field"]),
        ({"type": "date_based", "field": "createdAt", "mode": "before_date"}, ["mode"]),
        ({"type": "form_submitted", "tent_id": NOBODY}, ["form_id"]),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else None,
)
def test_what_a_trigger_lacks_is_told_at_activation(
    api: httpx.Client, trigger: Json, missing: list[str]
) -> None:
    path = a_draft(api, triggers=[trigger])  # without steps, so that it is never ready
    found = readiness(api, path)["missing"]
    assert found == [*(f"triggers.0.{name}" for name in missing), "flow_nodes"]


def test_a_dynamic_list_triggers_nothing(api: httpx.Client) -> None:
    rules = {"kind": "condition", "source": "contact_field", "field": "city",
             "operator": "is_empty"}  # fmt: skip
    dynamic = new_list(api, kind="dynamic", rules=rules)
    triggers = [{"type": "added_to_static_list", "list_id": dynamic}]
    path = a_draft(api, steps=[WAIT], triggers=triggers)
    assert readiness(api, path)["missing"] == ["triggers.0.list_id"]


def test_custom_fields_trigger_by_their_type_while_they_are_active(api: httpx.Client) -> None:
    renewal, plan = new_field(api, "date"), new_field(api, "text")
    by_date: dict[str, Any] = {"type": "date_based", "mode": "on_date"}
    triggers: list[Json] = [
        {**by_date, "field": renewal["api_name"]},
        {**by_date, "field": plan["api_name"]},
        {"type": "contact_updated", "field": plan["api_name"], "operator": "contains",
         "value": "x"},
        {"type": "contact_updated", "field": plan["api_name"], "operator": "gt", "value": 1},
    ]  # fmt: skip
    path = a_draft(api, steps=[WAIT], triggers=triggers)
    assert readiness(api, path)["missing"] == ["triggers.1.field", "triggers.3.operator"]
    told(api.patch(f"/v1/custom-fields/{renewal['custom_field_id']}", json={"active": False}))
    told(api.put(f"{path}/triggers", json={"triggers": triggers[:1]}))
    assert readiness(api, path)["missing"] == ["triggers.0.field"]


def test_triggers_are_replaced_whole(api: httpx.Client) -> None:
    path = a_draft(api, triggers=[{"type": "contact_created"}])
    put = f"{path}/triggers"
    new = [{"type": "added_to_static_list", "list_id": NOBODY}]
    assert told(api.put(put, json={"triggers": new}))["triggers"] == new
    assert told(api.put(put, json={"triggers": []}))["triggers"] == []
    for body, where in (
        ({}, "triggers"),
        ({"triggers": None}, "triggers"),
        ({"triggers": new, "steps": []}, "steps"),
        ({"triggers": [{"type": "contact_created"}] * 26}, "triggers"),
        ({"triggers": [{"type": "telepathy"}]}, "triggers.0.type"),
    ):
        assert issue(api.put(put, json=body)) == refused(where)
