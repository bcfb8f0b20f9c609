"""The native dialect: what a user may write, what it is compiled to, and editing step by step."""

from typing import Any

import pytest

from libs.domain.flow import Definition
from libs.domain.issue import Issue
from libs.domain.readiness import Readiness
from services.api.native import phrasing
from services.api.native.compile import compile_document
from services.api.native.step_editing import Placement, inserted, merged, without
from services.api.use_cases.problems import Problem, flow_not_found, not_ready
from tests.support.builders import LIST, OPENED, Json, a_flow, native_steps

IN_ROME: Json = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "eq",
                 "value": "Rome"}  # fmt: skip


def document(**changes: Any) -> Json:
    trigger = {"type": "added_to_static_list", "list_id": str(LIST)}
    return {"name": "Welcome series", "triggers": [trigger], "steps": native_steps(), **changes}


def test_the_welcome_series_is_compiled_to_the_engines_language() -> None:
    compiled = compile_document(document())
    (trigger,) = compiled.triggers
    assert trigger.trigger_id
    same = {"trigger_id": trigger.trigger_id, "type": trigger.type, "list_id": str(LIST)}
    written = a_flow(triggers=[same]).model_dump(include=set(Definition.model_fields))
    assert compiled.model_dump() == written


def test_edges_that_are_not_given_are_not_named() -> None:
    check = {"step_id": "c", "type": "condition_check", "true_step_id": None,
             "default_step_id": "x"}  # fmt: skip
    (compiled,) = compile_document(document(steps=[check])).steps
    assert compiled.edges == {"true": None, "default": "x"}
    assert (compiled.target("true"), compiled.target("false")) == (None, "x")


def test_disqualification_is_a_guard_and_short_operators_mean_the_long_ones() -> None:
    compiled = compile_document(
        document(disqualification_rules=IN_ROME, reentry_policy="no_reentry")
    )
    (guard,) = compiled.guards
    assert (guard.wants, guard.reason) == (False, "disqualified")
    assert guard.rule.operator == "equals"
    assert compiled.reentry == "once"


def did(activity_type: Any, operator: str = "occurred", **more: Any) -> Json:
    return {"kind": "condition", "source": "activity", "activityType": activity_type,
            "operator": operator, **more}  # fmt: skip


WITHIN: Json = {"amount": 7, "unit": "days"}
TWICE: Json = {"operator": "gte", "value": 2}
A_PAGE = "11111111-1111-4111-8111-111111111112"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (did("form_submitted", within=WITHIN, formId="f1", tentId=A_PAGE),
         {"metric": "form.submitted", "operator": "has_activity", "within": WITHIN,
          "form_id": "f1", "tent_id": A_PAGE}),
        (did("email_opened", "not_occurred", count=TWICE, emailId=A_PAGE),
         {"metric": "email.opened", "operator": "has_no_activity", "email_id": A_PAGE,
          "count": {"operator": "greater_than_or_equal", "value": 2}}),
        (did("Placed Order", "has_no_activity"),
         {"metric": "Placed Order", "operator": "has_no_activity"}),
    ],
)  # fmt: skip
def test_rules_about_activity_are_compiled(written: Json, meant: Json) -> None:
    steps = [
        {"step_id": "c", "type": "condition_check", "condition": written},
        {"step_id": "w", "type": "wait", "condition": written},
    ]
    compiled = compile_document(document(steps=steps, disqualification_rules=written))
    whole = {"kind": "condition", "source": "activity", **meant}
    rules = [step.rule() for step in compiled.steps] + [compiled.guards[0].rule]
    for rule in rules:
        assert rule is not None
        assert rule.model_dump(mode="json", exclude_unset=True) == whole


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (did(""), "activityType"),
        (did(7), "activityType"),
        (did("x" * 201), "activityType"),
        (did("Placed Order", "is_member"), "operator"),
        (did("Placed Order", count={"operator": "contains", "value": 1}), "count.operator"),
        (did("Placed Order", count={"operator": "gte", "value": 1.5}), "count.value"),
        (did("Placed Order", count={"operator": "gte", "value": 1001}), "count.value"),
        (did("Placed Order", within={"amount": 0, "unit": "days"}), "within.amount"),
        (did("Placed Order", within={"amount": 731, "unit": "days"}), "within.amount"),
        (did("Placed Order", within={"amount": 1, "unit": "years"}), "within.unit"),
        (did("Placed Order", within={**WITHIN, "since": 1}), "within.since"),
        (did("Placed Order", formId="f1"), "formId"),
        (did("email_opened", tentId=A_PAGE), "tentId"),
        (did("form_submitted", emailId=A_PAGE), "emailId"),
        (did("email_opened", emailId="x"), "emailId"),
        (did("email_opened", metric="opened"), "metric"),
    ],
)
def test_a_wrong_rule_about_activity_names_its_place(written: Json, path: str) -> None:
    group = {"kind": "group", "conditions": [IN_ROME, written]}
    with pytest.raises(Problem) as refused:
        compile_document(document(disqualification_rules=group))
    (issue,) = (refused.value.details or {})["issues"]
    assert issue["path"] == f"disqualification_rules.conditions.1.{path}"


def test_a_trigger_keeps_its_name_wherever_it_stands() -> None:
    created, added = {"type": "contact_created"}, document()["triggers"][0]
    first = {one.type: one.trigger_id for one in compile_document(document()).triggers}
    both = compile_document(document(triggers=[created, added, created])).triggers
    names = [one.trigger_id for one in both]
    assert names[1] == first["added_to_static_list"]
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"type": "update_contact", "updates": [
            {"field": "city", "value": "Rome"},
            {"field": "plan", "value": "gold", "write_mode": "skip_if_filled"},
            {"field": "phone", "value": None}]},
         {"type": "update_contact", "operations": [
             {"op": "set", "field": "city", "value": "Rome"},
             {"op": "set_if_empty", "field": "plan", "value": "gold"},
             {"op": "clear", "field": "phone"}]}),
        ({"type": "update_contact", "field": "city", "value": "Rome"},
         {"type": "update_contact",
          "operations": [{"op": "set", "field": "city", "value": "Rome"}]}),
        ({"type": "update_contact"}, {"type": "update_contact", "operations": []}),
        ({"type": "add_to_list", "list_id": str(LIST)},
         {"type": "add_to_list", "list_ids": [str(LIST)]}),
        ({"type": "wait", "condition": IN_ROME, "timeout_amount": 2, "timeout_unit": "days",
          "timeout_step_id": "late", "next_step_id": "s"},
         {"type": "wait", "condition": {**IN_ROME, "operator": "equals"}, "timeout_amount": 2,
          "timeout_unit": "days", "edges": {"timeout": "late", "next": "s"}}),
        ({"type": "wait", "until_date_field": "renewal", "trigger_time": "09:30",
          "timezone": "Europe/Oslo"},
         {"type": "wait", "until_date_field": "renewal", "time": "09:30", "zone": "Europe/Oslo"}),
        ({"type": "send_webhook", "endpoint_url": "https://x.example/h", "auth_type": "jwt",
          "token": "t", "custom_fields": {"n": 1}},
         {"type": "send_webhook", "url": "https://x.example/h", "auth": "jwt", "token": "t",
          "custom_fields": {"n": 1}}),
        ({"type": "remove_from_list", "next_step_id": None},
         {"type": "remove_from_list", "list_ids": [], "edges": {"next": None}}),
    ],
)  # fmt: skip
def test_steps_are_compiled(written: Json, meant: Json) -> None:
    (step,) = compile_document(document(steps=[{"step_id": "s", **written}])).steps
    assert step.model_dump(mode="json", exclude_unset=True) == {"step_id": "s", **meant}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"type": "contact_updated", "field": "city"}, {"operator": "changed"}),
        ({"type": "contact_updated", "field": "city", "operator": "eq", "value": "Rome"},
         {"operator": "equals", "value": "Rome"}),
        ({"type": "removed_from_static_list", "list_id": str(LIST)}, {"list_id": str(LIST)}),
        ({"type": "form_submitted", "form_id": "f"}, {"form_id": "f"}),
        ({"type": "date_based", "field": "createdAt", "mode": "on_date"},
         {"field": "createdAt", "offset_days": 0, "recurrence": "never", "time": "09:00",
          "zone": "UTC"}),
        ({"type": "date_based", "field": "birthday", "mode": "before_date", "days_before": 7,
          "include_anniversaries": True, "trigger_time": "10:30", "timezone": "Europe/Oslo"},
         {"field": "birthday", "offset_days": -7, "recurrence": "annually", "time": "10:30",
          "zone": "Europe/Oslo"}),
        ({"type": "date_based", "field": "renewal", "mode": "after_date", "days_after": 3},
         {"offset_days": 3}),
        ({"type": "date_based", "field": "renewal", "mode": "after_date"}, {"offset_days": None}),
        ({"type": "date_based"}, {"field": None, "offset_days": None}),
    ],
)  # fmt: skip
def test_triggers_are_compiled(written: Json, meant: Json) -> None:
    (trigger,) = compile_document(document(triggers=[written])).triggers
    compiled = trigger.model_dump(mode="json", exclude_unset=True)
    assert {name: compiled[name] for name in meant} == meant


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"description": "x" * 1001}, "description"),
        ({"reentry_policy": "sometimes"}, "reentry_policy"),
        ({"triggers": [{"type": "contact_created"}] * 26}, "triggers"),
        ({"steps": [{"step_id": f"s{n}", "type": "wait"} for n in range(101)]}, "steps"),
        ({"settings": {"blob": "x" * 17_000}}, "settings"),
        ({"steps": [{"step_id": "d", "type": "drop_from_flow", "next_step_id": "w"}]},
         "steps.0.next_step_id"),
        ({"steps": [{"step_id": "w", "type": "wait", "edges": {}}]}, "steps.0.edges"),
        ({"triggers": [{"type": "contact_created", "trigger_id": "t"}]}, "triggers.0.trigger_id"),
        ({"triggers": [{"type": "date_based", "trigger_time": "9:15"}]},
         "triggers.0.trigger_time"),
        ({"triggers": [{"type": "date_based", "timezone": "Mars/Olympus"}]}, "triggers.0.timezone"),
        ({"triggers": [{"type": "date_based", "mode": "on_date", "days_after": 1}]},
         "triggers.0.days_after"),
        ({"triggers": [{"type": "contact_updated", "operator": "sounds_like"}]},
         "triggers.0.operator"),
        ({"steps": [{"step_id": "u", "type": "update_contact", "field": "city", "updates": []}]},
         "steps.0.field"),
        ({"steps": [{"step_id": "w", "type": "wait", "until_date_field": "x",
                     "condition": IN_ROME}]}, "steps.0.condition"),
        ({"steps": [{"step_id": "w", "type": "wait", "timeout_amount": 1}]},
         "steps.0.timeout_amount"),
        ({"steps": [{"step_id": "h", "type": "send_webhook", "token": "t"}]}, "steps.0.token"),
        ({"steps": [{"step_id": "h", "type": "send_webhook", "custom_fields": {"contact": 1}}]},
         "steps.0.custom_fields.contact"),
        ({"disqualification_rules": {"kind": "condition", "source": "weather"}},
         "disqualification_rules.source"),
        ({"disqualification_rules": {"kind": "rumour"}}, "disqualification_rules.kind"),
        ({"disqualification_rules": {**IN_ROME, "value": {"relative": {"amount": "x"}}}},
         "disqualification_rules.value.relative.amount"),
        ({"disqualification_rules": {**IN_ROME, "value": [1]}}, "disqualification_rules.value"),
        ({"disqualification_rules": {**IN_ROME, "field": "tentedScore"}},
         "disqualification_rules.value"),
        ({"triggers": [{"type": "contact_updated", "field": "city", "operator": "gt",
                        "value": "x"}]}, "triggers.0.operator"),
        ({"triggers": [{"type": "contact_updated", "field": "city", "value": "x"}]},
         "triggers.0.value"),
    ],
)  # fmt: skip
def test_what_users_may_not_write_is_refused_by_name(changes: Json, path: str) -> None:
    with pytest.raises(Problem) as caught:
        compile_document(document(**changes))
    assert caught.value.details is not None
    assert caught.value.details["issues"][0]["path"] == path


def test_rules_are_smaller_here_than_in_the_engine() -> None:
    deep = IN_ROME
    for _ in range(6):
        deep = {"kind": "group", "operator": "or", "conditions": [deep]}
    with pytest.raises(Problem, match="5 levels"):
        compile_document(document(disqualification_rules=deep))
    wide = {"kind": "group", "operator": "or", "conditions": [IN_ROME] * 100}
    with pytest.raises(Problem, match="100 groups"):
        compile_document(document(disqualification_rules=wide))
    of_a_run = {**OPENED, "nodeId": "s"}
    del of_a_run["step_id"]
    with pytest.raises(Problem, match="email_step"):
        compile_document(document(disqualification_rules=of_a_run))


@pytest.mark.parametrize(
    ("issue", "path"),
    [
        (Issue.at("steps", 0, "email_id", code="not_approved"), "flow_nodes.0.email_approval"),
        (Issue.at("steps", 3, "email_id"), "flow_nodes.3.email_id"),
        (Issue.at("steps", 1, "email_id", code="unknown_tags"), "flow_nodes.1.email_tokens"),
        (Issue.at("steps", 1, "alias", code="unknown_tags"), "flow_nodes.1.custom_page_alias"),
        (
            Issue.at("steps", 1, "custom_fields", "b", code="unknown_tags"),
            "flow_nodes.1.custom_fields",
        ),
        (Issue.at("steps", 1, "email_id", code="no_text"), "flow_nodes.1.email_plain_text"),
        (Issue.at("steps", 1, "timeout_amount", code="no_timeout"), "flow_nodes.1.timeout_amount"),
        (Issue.at("triggers", 0, "list_id", code="unknown"), "triggers.0.list_id"),
        (Issue.at("steps"), "flow_nodes"),
        (Issue.at("steps", 0, "duration_amount"), "flow_nodes.0.wait"),
        (Issue.at("steps", 0, "edges", "next", code="unknown"), "flow_nodes.0.next_step_id"),
        (Issue.at("steps", 2, "edges", "true", code="unknown"), "flow_nodes.2.true_step_id"),
        (Issue.at("steps", 0, code="endless_circle"), "flow_nodes.0.cycle"),
        (Issue.at("steps", 1, code="unreachable"), "flow_nodes.1.unreachable"),
        (Issue.at("triggers", code="no_trigger"), "triggers"),
        (Issue.at("guards", 0, "rule", code="unknown"), "disqualification_rules"),
        (Issue.at("triggers", 1, "offset_days"), "triggers.1.mode"),
        (Issue.at("steps", 0, "list_ids"), "flow_nodes.0.list_id"),
        (Issue.at("steps", 0, "operations", 2, "field", code="unknown"), "flow_nodes.0.updates"),
    ],
)
def test_issues_are_phrased_as_paths_into_the_document(issue: Issue, path: str) -> None:
    assert phrasing.path_of(issue) == path


def test_problems_carry_the_names_of_this_api() -> None:
    missing = (Issue.at("steps", 0, "email_id", code="not_approved"),)
    assert phrasing.body_of(not_ready(Readiness(missing, ()))) == {
        "error": "Triggered flow is missing required activation fields: "
        "flow_nodes.0.email_approval",
        "error_code": "campaign_flow_not_ready",
        "details": {
            "activation_readiness": {
                "ready": False,
                "missing": ["flow_nodes.0.email_approval"],
                "warnings": [],
            }
        },
    }
    assert phrasing.body_of(flow_not_found())["error_code"] == "campaign_not_found"


def steps() -> list[Json]:
    return native_steps()


def ids(found: list[Json]) -> list[str]:
    return [step["step_id"] for step in found]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"steps": [{**native_steps()[1], "duration_unit": "years"}]}, "steps.0.duration_unit"),
        ({"steps": [{"type": "wait"}]}, "steps.0.step_id"),
        ({"steps": [{**native_steps()[2], "condition": {"kind": "group", "conditions": [
            {"kind": "condition", "source": "contact_field", "field": "city",
             "operator": "sounds_like", "value": "x"}]}}]},
         "steps.0.condition.conditions.0.operator"),
        ({"name": 7}, "name"),
        ({"colour": "red"}, "colour"),
        ({"steps": [{**native_steps()[1], "colour": "red"}]}, "steps.0.colour"),
        ({"steps": [{"step_id": "s", "type": "telepathy"}]}, "steps.0.type"),
        ({"steps": [{"step_id": "s", "type": "wait", "wait": 1}]}, "steps.0.wait"),
        ({"triggers": [{"type": "telepathy"}]}, "triggers.0.type"),
    ],
)  # fmt: skip
def test_problems_name_the_field_as_the_sender_knows_it(changes: Json, path: str) -> None:
    with pytest.raises(Problem) as caught:
        compile_document({"name": "x", **changes})
    assert caught.value.details is not None
    assert caught.value.details["issues"][0]["path"] == path


def test_duplicate_steps_are_a_conflict() -> None:
    with pytest.raises(Problem) as caught:
        compile_document({"name": "x", "steps": [native_steps()[1], native_steps()[1]]})
    assert caught.value.code == "duplicate_step_id"


def test_steps_are_inserted_where_asked() -> None:
    new = {"step_id": "new", "type": "drop_from_flow"}
    assert ids(inserted(steps(), new, Placement()))[-1] == "new"
    assert ids(inserted(steps(), new, Placement(at_start=True)))[0] == "new"
    assert ids(inserted(steps(), new, Placement(before_step_id="wait-3-days")))[1] == "new"
    assert ids(inserted(steps(), new, Placement(after_step_id="wait-3-days")))[2] == "new"
    with pytest.raises(Problem, match="nowhere"):
        inserted(steps(), new, Placement(after_step_id="nowhere"))


def test_steps_are_merged() -> None:
    changed = merged(steps(), "wait-3-days", {"duration_amount": 5, "label": None})
    assert changed[1]["duration_amount"] == 5
    assert "label" not in changed[1]
    assert merged(steps(), "check-opened", {"true_step_id": None})[2]["true_step_id"] is None
    ended = merged(steps(), "check-opened", {"true_step_id": None})
    assert merged(ended, "check-opened", {"label": "Opened?"})[2]["true_step_id"] is None
    with pytest.raises(Problem, match=r"step\.type"):
        merged(steps(), "wait-3-days", {"type": "send_email"})


def test_steps_are_deleted_with_their_edges_repaired() -> None:
    with pytest.raises(Problem) as caught:
        without(steps(), "check-opened", None)
    assert caught.value.code == "step_referenced"
    repaired = without(steps(), "check-opened", {"replace_with_step_id": "send-followup"})
    assert repaired[1]["next_step_id"] == "send-followup"
    detached = without(steps(), "check-opened", {"replace_with_step_id": None})
    assert detached[1]["next_step_id"] is None


def test_repairing_adds_no_edge_that_was_not_there() -> None:
    check = {"step_id": "c", "type": "condition_check", "default_step_id": "w"}
    (repaired,) = without([check, native_steps()[1] | {"step_id": "w"}], "w",
                          {"replace_with_step_id": None})  # fmt: skip
    assert repaired == {**check, "default_step_id": None}
