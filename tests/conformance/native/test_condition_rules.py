"""Rule trees: groups, sources, operators by type, short names, values, and where each is legal."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.native import (
    FLOWS,
    IN_ROME,
    NOBODY,
    WAIT,
    Json,
    a_draft,
    active,
    code,
    create,
    enter,
    issue,
    members,
    new_contact,
    new_field,
    new_list,
    readiness,
    refused,
    told,
)
from tests.support.waiting import wait_until

TEXT = ("equals", "not_equals", "contains", "not_contains", "starts_with", "ends_with")
ORDERED = ("equals", "not_equals", "greater_than", "greater_than_or_equal", "less_than",
           "less_than_or_equal")  # fmt: skip
EMPTY = ("is_empty", "is_not_empty")
OF_TYPE: dict[str, tuple[str, tuple[str, ...], Any]] = {
    "string": ("leadStatus", TEXT, "hot"),
    "number": ("tentedScore", ORDERED, 80),
    "date": ("createdAt", ORDERED, "2026-07-02"),
    "boolean": ("unsubscribed", ("is_true", "is_false"), None),
}
"""A standard field of each type, the operators it takes, and a value."""
SHORT = {
    "eq": "leadStatus", "neq": "leadStatus", "ne": "leadStatus", "is": "leadStatus",
    "is_not": "leadStatus", "gt": "tentedScore", "gte": "tentedScore", "lt": "tentedScore",
    "lte": "tentedScore", "before": "createdAt", "after": "createdAt",
}  # fmt: skip


def field(name: str, operator: str, value: Any = None) -> Json:
    rule = {"kind": "condition", "source": "contact_field", "field": name, "operator": operator}
    return rule if value is None else {**rule, "value": value}


def group(*rules: Json, operator: str = "and") -> Json:
    return {"kind": "group", "operator": operator, "conditions": list(rules)}


def email_step(**changes: Any) -> Json:
    return {"kind": "condition", "source": "email_step", "nodeId": "send", "metric": "opened",
            "operator": "has_activity", **changes}  # fmt: skip


def on_list(operator: str, list_id: str = NOBODY) -> Json:
    return {"kind": "condition", "source": "list_membership", "listId": list_id,
            "operator": operator}  # fmt: skip


def custom(operator: str, value: Any = None, field_id: str = NOBODY) -> Json:
    rule = {"kind": "condition", "source": "custom_field", "fieldDefinitionId": field_id,
            "operator": operator}  # fmt: skip
    return rule if value is None else {**rule, "value": value}


def activity(kind: str, operator: str = "has_activity", **narrower: Any) -> Json:
    return {"kind": "condition", "source": "activity", "activityType": kind, "operator": operator,
            **narrower}  # fmt: skip


def nested(depth: int) -> Json:
    """Write a tree of so many groups, one in another."""
    rule = IN_ROME
    for _ in range(depth):
        rule = group(rule)
    return rule


def check(rule: Json) -> Json:
    return {"step_id": "check", "type": "condition_check", "condition": rule}


def _about_fields() -> Iterator[Json]:
    for name, operators, value in OF_TYPE.values():
        yield from (field(name, operator, value) for operator in operators)
        yield from (field(name, operator) for operator in EMPTY)
    yield from (field(name, operator, OF_TYPE_OF[name]) for operator, name in SHORT.items())
    for direction in ("ago", "from_now"):
        for unit in ("minutes", "hours", "days", "weeks"):
            relative = {"amount": 7, "unit": unit, "direction": direction}
            yield field("lastActivityAt", "less_than", {"relative": relative})
    yield field("createdAt", "equals", "2026-07-02T09:00:00.000Z")
    yield field("tentedScore", "equals", "80")
    yield field("leadStatus", "equals", "x" * 1000)
    yield from (custom(operator, "x") for operator in (*TEXT, *ORDERED, "eq", "gt"))
    yield from (custom(operator) for operator in (*EMPTY, "is_true", "is_false"))


def _about_lists_and_what_happened() -> Iterator[Json]:
    for operator in ("is_member", "is_not_member", "member_of", "not_member_of", "in_list",
                     "not_in_list"):  # fmt: skip
        yield on_list(operator)
    for metric in ("sent", "delivered", "opened", "clicked", "bounced", "unsubscribed"):
        yield email_step(metric=metric)
    for operator in ("has_no_activity", "occurred", "not_occurred"):
        yield email_step(operator=operator)
    for operator in ("has_activity", "has_no_activity", "occurred", "not_occurred"):
        yield activity("form_submitted", operator)
    for metric in ("sent", "delivered", "opened", "clicked", "bounced", "unsubscribed"):
        yield activity(f"email_{metric}", emailId=NOBODY)
    yield activity("form_submitted", tentId=NOBODY, formId="registerForm")
    yield activity("Placed Order", within={"amount": 7, "unit": "days"},
                   count={"operator": "gte", "value": 2})  # fmt: skip


GROUPS = [
    group(IN_ROME, group(IN_ROME, operator="or")),
    {"kind": "group", "conditions": [IN_ROME]},
    nested(5),
    group(*[IN_ROME] * 99),
]


OF_TYPE_OF = {name: value for name, _, value in OF_TYPE.values()}


@pytest.mark.parametrize(
    "rule",
    [*_about_fields(), *_about_lists_and_what_happened(), *GROUPS],
    ids=lambda rule: " ".join(str(value)[:20] for value in rule.values()),
)
def test_a_tree_is_accepted_and_comes_back_as_it_was_sent(api: httpx.Client, rule: Json) -> None:
    waits = {"step_id": "until", "type": "wait", "condition": rule}
    flow = create(api, steps=[check(rule), waits])
    assert [step["condition"] for step in flow["steps"]] == [rule, rule]
    assert list(flow["steps"][0]["condition"]) == list(rule)
    if rule.get("source") != "email_step":
        assert create(api, disqualification_rules=rule)["disqualification_rules"] == rule


RELATIVE = {"amount": 7, "unit": "days", "direction": "ago"}
WRONG: list[tuple[Json, str]] = [
    ({}, "kind"),
    ({"kind": "rumour"}, "kind"),
    ({"kind": "condition"}, "source"),
    ({"kind": "condition", "source": "weather"}, "source"),
    (group(), "conditions"),
    ({"kind": "group", "operator": "and"}, "conditions"),
    (group(IN_ROME, operator="xor"), "operator"),
    (group(IN_ROME) | {"colour": "red"}, "colour"),
    (group(IN_ROME, group(IN_ROME | {"colour": "red"})), "conditions.1.conditions.0.colour"),
    (IN_ROME | {"field": "shoeSize"}, "field"),
    (IN_ROME | {"field": "first_name"}, "field"),
    (IN_ROME | {"operator": "sounds_like"}, "operator"),
    ({**IN_ROME, "operator": None}, "operator"),
    *(
        (field(name, other, value or "x"), "operator")
        for name, operators, value in OF_TYPE.values()
        for other in sorted({*TEXT, *ORDERED, "is_true", "is_false"} - {*operators})
    ),
    *((field(name, "equals"), "value") for name in ("leadStatus", "tentedScore", "createdAt")),
    *((field(name, "equals", [1]), "value") for name in ("leadStatus", "tentedScore", "createdAt")),
    (field("leadStatus", "equals", "x" * 1001), "value"),
    (field("tentedScore", "gt", "many"), "value"),
    (field("createdAt", "before", "soon"), "value"),
    (field("createdAt", "before", 7), "value"),
    (field("city", "equals", {"relative": RELATIVE}), "value"),
    *(
        (
            field("createdAt", "before", {"relative": {**RELATIVE, key: value}}),
            f"value.relative.{key}",
        )
        for key, value in (("amount", -1), ("unit", "months"), ("direction", "sideways"))
    ),
    (on_list("is_member", "x"), "listId"),
    (on_list("contains"), "operator"),
    (on_list("is_member") | {"list_id": NOBODY}, "list_id"),
    (custom("equals", "x", "x"), "fieldDefinitionId"),
    (custom("equals"), "value"),
    (email_step(metric="liked"), "metric"),
    (email_step(operator="equals"), "operator"),
    (email_step(nodeId=""), "nodeId"),
    (email_step(step_id="send"), "step_id"),
    (activity(""), "activityType"),
    (activity("form_submitted", "equals"), "operator"),
    (activity("form_submitted", within={"amount": 0, "unit": "days"}), "within.amount"),
    (activity("form_submitted", within={"amount": 7, "unit": "years"}), "within.unit"),
    (activity("form_submitted", within=7), "within"),
    (activity("form_submitted", count={"operator": "contains", "value": 1}), "count.operator"),
    (activity("form_submitted", count={"operator": "gte", "value": "many"}), "count.value"),
    (activity("form_submitted", emailId=NOBODY), "emailId"),
    (activity("email_opened", emailId="x"), "emailId"),
    (activity("email_opened", formId="f"), "formId"),
    (activity("email_opened", tentId=NOBODY), "tentId"),
    (activity("form_submitted", metric="x"), "metric"),
    (nested(6), ""),
    (group(*[IN_ROME] * 100), ""),
]
"""A tree with one thing wrong, and the path of the field that is to be named."""


@pytest.mark.parametrize(
    ("rule", "path"),
    WRONG,
    ids=lambda value: value if isinstance(value, str) else str(value.get("source")),
)
def test_what_is_wrong_in_a_tree_is_refused_by_its_path(
    api: httpx.Client, rule: Json, path: str
) -> None:
    answer = api.post(FLOWS, json={"name": "n", "steps": [check(rule)]})
    assert issue(answer) == refused(f"steps.0.condition.{path}".rstrip("."))
    assert len(answer.json()["details"]["issues"]) == 1
    if rule.get("source") != "email_step":
        answer = api.post(FLOWS, json={"name": "n", "disqualification_rules": rule})
        assert issue(answer) == refused(f"disqualification_rules.{path}".rstrip("."))


def test_a_tree_of_any_depth_is_answered(api: httpx.Client) -> None:
    answer = api.post(FLOWS, json={"name": "n", "disqualification_rules": nested(400)})
    assert code(answer) == (400, "invalid_request")


def test_email_step_is_legal_inside_steps_only(api: httpx.Client) -> None:
    body = {"name": "n", "disqualification_rules": group(IN_ROME, email_step())}
    assert issue(api.post(FLOWS, json=body)) == refused("disqualification_rules")
    body = {"name": "n", "kind": "dynamic", "rules": email_step()}
    assert issue(api.post("/v1/lists", json=body)) == refused("rules")


def test_node_id_is_a_send_email_step_of_the_same_flow(api: httpx.Client) -> None:
    for node in ("nowhere", "w"):
        path = a_draft(api, steps=[WAIT, check(email_step(nodeId=node))])
        assert readiness(api, path)["missing"] == ["flow_nodes.1.condition"]


def test_lists_and_custom_fields_exist_when_the_flow_is_activated(api: httpx.Client) -> None:
    number = new_field(api, "number")
    field_id = str(number["custom_field_id"])
    path = a_draft(api, disqualification_rules=custom("is_empty"), steps=[
        check(custom("gt", 3, field_id)),
        {**check(on_list("is_member")), "step_id": "2"},
        {**check(custom("starts_with", "x", field_id)), "step_id": "3"},
        {**check(custom("equals", "many", field_id)), "step_id": "4"},
        {**check(on_list("is_member", new_list(api))), "step_id": "5"},
    ])  # fmt: skip
    assert readiness(api, path)["missing"] == [
        "disqualification_rules", "flow_nodes.1.condition", "flow_nodes.2.condition",
        "flow_nodes.3.condition",
    ]  # fmt: skip
    told(api.patch(f"/v1/custom-fields/{field_id}", json={"active": False}))
    assert "flow_nodes.0.condition" in readiness(api, path)["missing"]


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (field("city", "eq", "rOmE"), "true"),
        (field("city", "contains", "om"), "true"),
        (field("city", "starts_with", "om"), "false"),
        (field("city", "ends_with", "ME"), "true"),
        (field("city", "not_contains", "x"), "true"),
        (field("company", "is_empty"), "true"),
        (field("company", "neq", "x"), "true"),
        (field("company", "eq", "x"), "false"),
        (field("tentedScore", "gte", 80), "true"),
        (field("tentedScore", "lt", "80"), "false"),
        (field("unsubscribed", "is_false"), "true"),
        (field("marketingEmailSubscribed", "is_false"), "false"),
        (field("createdAt", "before", "2001-01-01"), "false"),
        (field("createdAt", "after", {"relative": {
            "amount": 100, "unit": "days", "direction": "ago"}}), "true"),
        (on_list("not_member_of"), None),
        (group(IN_ROME, field("company", "eq", "x")), "false"),
        (group(IN_ROME, field("company", "eq", "x"), operator="or"), "true"),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else value,
)  # fmt: skip
def test_a_tree_is_judged(api: httpx.Client, rule: Json, outcome: str | None) -> None:
    judged = rule if outcome else on_list("not_member_of", new_list(api))
    contact_id = new_contact(api, city="Rome", tented_score=80, unsubscribed=False)
    steps = [{**check(judged), "true_step_id": "true", "false_step_id": "false"},
             {**WAIT, "step_id": "true"}, {**WAIT, "step_id": "false"}]  # fmt: skip
    membership = enter(api, active(api, steps=steps), contact_id)
    assert membership["current_step_id"] == (outcome or "true")


def test_what_a_contact_did_is_asked_about(api: httpx.Client) -> None:
    form = f"form-{uuid4().hex[:8]}"
    address = f"{uuid4().hex}@x.example"
    sent = told(api.post(f"/v1/forms/{form}/submissions", json={"fields": {"email": address}}), 201)
    edges = {"true_step_id": "true", "false_step_id": "false"}
    for rule, comes_to in (
        (activity("form_submitted", formId=form), "true"),
        (activity("form_submitted", "not_occurred", formId=form), "false"),
        (activity("form_submitted", formId=form, count={"operator": "gt", "value": 1}), "false"),
    ):
        steps = [{**check(rule), **edges},
                 {**WAIT, "step_id": "true"}, {**WAIT, "step_id": "false"}]  # fmt: skip
        path = active(api, steps=steps)
        assert enter(api, path, sent["contact_id"])["current_step_id"] == comes_to


def test_lists_of_both_kinds_are_asked_about(api: httpx.Client) -> None:
    static, dynamic = new_list(api), new_list(api, kind="dynamic", rules=IN_ROME)
    contact_id = new_contact(api, city="Rome")
    told(api.post(f"/v1/lists/{static}/contacts/{contact_id}"))
    edges = {"true_step_id": "true", "false_step_id": "false"}
    for list_id in (static, dynamic):
        for operator, comes_to in (("member_of", "true"), ("is_not_member", "false")):
            steps = [{**check(on_list(operator, list_id)), **edges},
                     {**WAIT, "step_id": "true"}, {**WAIT, "step_id": "false"}]  # fmt: skip
            assert enter(api, active(api, steps=steps), contact_id)["current_step_id"] == comes_to


def test_the_other_edge_is_the_default(api: httpx.Client) -> None:
    contact_id = new_contact(api, city="Oslo")
    for edges, comes_to in (
        ({"default_step_id": "w"}, "w"),
        ({"false_step_id": None, "default_step_id": "w"}, None),
        ({"true_step_id": "w"}, None),
        ({}, None),
    ):
        path = active(api, steps=[{**check(IN_ROME), **edges}, WAIT])
        assert enter(api, path, contact_id)["current_step_id"] == comes_to


def test_rules_keep_out_and_drop_who_matches(api: httpx.Client) -> None:
    path = active(api, disqualification_rules=IN_ROME)
    inside, outside = new_contact(api, city="Oslo"), new_contact(api, city="Rome")
    assert code(api.post(f"{path}/contacts/{outside}")) == (
        400, "campaign_flow_contact_disqualified",
    )  # fmt: skip
    enter(api, path, inside)
    told(api.patch(path, json={"disqualification_rules": field("city", "is_not_empty")}))
    wait_until(lambda: members(api, path, status="dropped") != [], "the member is dropped", 30)
    (dropped,) = members(api, path)
    assert (dropped["contact_id"], dropped["drop_reason"]) == (inside, "disqualified")
