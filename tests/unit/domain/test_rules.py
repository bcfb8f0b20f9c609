"""Rule trees: what is accepted, and how it is judged."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from libs.domain.contact import ContactSnapshot, CustomField, FieldType
from libs.domain.predicates import compile_rule
from libs.domain.rules import MAX_DEPTH, MAX_NODES, AnyRule, AudienceRules, RuleTree
from tests.support.builders import CONTACT, LIST, NOW, OPENED, Json, snapshot

TREE: TypeAdapter[AnyRule] = TypeAdapter(RuleTree)
AUDIENCE: TypeAdapter[AnyRule] = TypeAdapter(AudienceRules)
PLAN = UUID(int=9)
SCORE = UUID(int=10)
CUSTOM = {
    PLAN: CustomField(api_name="plan_tier", type=FieldType.STRING),
    SCORE: CustomField(api_name="seats", type=FieldType.NUMBER),
}


def judge(rule: Json, known: ContactSnapshot) -> bool | None:
    return compile_rule(TREE.validate_python(rule), CUSTOM)(known, NOW).outcome


def field(name: str, operator: str, value: Any = None) -> Json:
    rule = {"kind": "condition", "source": "contact_field", "field": name, "operator": operator}
    return rule if value is None else {**rule, "value": value}


def group(operator: str, *conditions: Json) -> Json:
    return {"kind": "group", "operator": operator, "conditions": list(conditions)}


@pytest.mark.parametrize(
    ("rule", "known", "outcome"),
    [
        (field("city", "equals", "Rome"), {"city": "rome"}, True),
        (field("city", "equals", "Rome"), {"city": "Oslo"}, False),
        (field("city", "not_equals", "Rome"), {}, True),
        (field("city", "contains", "OM"), {"city": "Rome"}, True),
        (field("city", "not_contains", "x"), {"city": ""}, True),
        (field("city", "starts_with", "ro"), {"city": "Rome"}, True),
        (field("city", "ends_with", "ro"), {"city": "Rome"}, False),
        (field("city", "is_empty"), {"city": ""}, True),
        (field("city", "is_not_empty"), {"city": "Rome"}, True),
        (field("tentedScore", "greater_than_or_equal", 10), {"tentedScore": 10}, True),
        (field("tentedScore", "less_than", 10), {"tentedScore": "12.5"}, False),
        (field("tentedScore", "greater_than", 10), {"tentedScore": "many"}, None),
        (field("tentedScore", "greater_than", 10), {}, False),
        (field("unsubscribed", "is_true"), {"unsubscribed": True}, True),
        (field("unsubscribed", "is_false"), {}, False),
        (field("createdAt", "equals", "2026-07-01"), {"createdAt": "2026-07-01T23:30:00Z"}, True),
        (field("createdAt", "less_than", "2026-07-01"),
         {"createdAt": "2026-07-01T23:30:00Z"}, False),
        (field("createdAt", "greater_than", "2026-07-01T10:00:00+02:00"),
         {"createdAt": "2026-07-01T08:30:00Z"}, True),
        (field("createdAt", "greater_than", "soon"), {"createdAt": "2026-07-01"}, None),
    ],
)  # fmt: skip
def test_contact_fields(rule: Json, known: Json, outcome: bool | None) -> None:
    assert judge(rule, snapshot(**known)) is outcome


def test_relative_dates_move_with_the_clock() -> None:
    week_ago = {"relative": {"amount": 7, "unit": "days", "direction": "ago"}}
    rule = field("createdAt", "greater_than", week_ago)
    assert judge(rule, snapshot(createdAt=(NOW - timedelta(days=6)).isoformat())) is True
    assert judge(rule, snapshot(createdAt=(NOW - timedelta(days=8)).isoformat())) is False


def test_custom_fields_are_named_by_id_and_read_by_api_name() -> None:
    rule = {"kind": "condition", "source": "custom_field", "field_definition_id": str(PLAN),
            "operator": "equals", "value": "gold"}  # fmt: skip
    assert judge(rule, ContactSnapshot(CONTACT, custom_fields={"plan_tier": "Gold"})) is True
    assert judge({**rule, "field_definition_id": str(SCORE)}, ContactSnapshot(CONTACT)) is False
    assert (
        judge({**rule, "field_definition_id": str(UUID(int=77))}, ContactSnapshot(CONTACT)) is None
    )


def test_lists_and_mails_of_the_run() -> None:
    member = {"kind": "condition", "source": "list_membership", "list_id": str(LIST),
              "operator": "is_member"}  # fmt: skip
    assert judge(member, ContactSnapshot(CONTACT, lists=frozenset({LIST}))) is True
    assert judge({**member, "operator": "is_not_member"}, ContactSnapshot(CONTACT)) is True
    seen = ContactSnapshot(CONTACT, engagement={"send-welcome": {"opened": NOW}})
    assert judge(OPENED, seen) is True
    assert judge({**OPENED, "operator": "has_no_activity"}, seen) is False
    assert judge(OPENED, ContactSnapshot(CONTACT)) is False


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (field("city", "greater_than", 3), "does not apply to a string field"),
        (field("town", "equals", "x"), "not a standard contact field"),
        (field("city", "equals"), "needs a value"),
        (group("and"), "at least 1 item"),
        ({**OPENED, "metric": "read"}, "metric"),
        ({**OPENED, "extra": 1}, "extra"),
        ({"kind": "condition", "source": "weather"}, "weather"),
    ],
)
def test_what_is_malformed_is_refused(rule: Json, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TREE.validate_python(rule, extra="forbid")


def test_trees_have_limits() -> None:
    deep = OPENED
    for _ in range(MAX_DEPTH):
        deep = group("or", deep)
    TREE.validate_python(deep)
    with pytest.raises(ValidationError, match="20 levels"):
        TREE.validate_python(group("and", deep))
    TREE.validate_python(group("and", *[OPENED] * (MAX_NODES - 1)))
    with pytest.raises(ValidationError, match="1000"):
        TREE.validate_python(group("and", *[OPENED] * MAX_NODES))


def test_audiences_know_no_mails_of_a_run() -> None:
    with pytest.raises(ValidationError, match="email_step"):
        AUDIENCE.validate_python(group("or", field("city", "is_empty"), OPENED))


TRUE, FALSE = field("email", "is_not_empty"), field("email", "is_empty")
UNKNOWN = field("tentedScore", "greater_than", 1)
LEAVES = st.sampled_from([(TRUE, True), (FALSE, False), (UNKNOWN, None)])


@given(st.lists(LEAVES, min_size=1, max_size=6), st.sampled_from(["and", "or"]))
def test_groups_are_three_valued(leaves: list[tuple[Json, bool | None]], operator: str) -> None:
    outcomes = [outcome for _, outcome in leaves]
    decisive = operator == "or"
    expected = decisive if decisive in outcomes else None if None in outcomes else not decisive
    rule = group(operator, *(leaf for leaf, _ in leaves))
    assert judge(rule, snapshot(tentedScore="unknown")) is expected


@given(st.text(max_size=30), st.text(min_size=1, max_size=5))
def test_an_operator_and_its_negation_never_agree(value: str, operand: str) -> None:
    known = snapshot(city=value)
    for name in ("equals", "contains"):
        positive = judge(field("city", name, operand), known)
        assert judge(field("city", f"not_{name}", operand), known) is (not positive)
