"""Flows of other homes as native documents: the inverse of compiling."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import find, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from libs.domain.contact import STANDARD_FIELDS, FieldType
from libs.domain.flow import STEP_TYPES, TRIGGER_TYPES, Definition
from services.api.engine import documents as engine
from services.api.native.compile import compile_document
from services.api.native.render import render
from services.api.use_cases.publishing import written
from tests.support.builders import LIST, WELCOME_STEPS, Json
from tests.unit.api.test_native_documents import IN_ROME, document

Written = SearchStrategy[Json]
IDS = st.uuids().map(str)
STEP_IDS = st.sampled_from(["a", "b", "c", "d e/f"])
EDGES = st.none() | STEP_IDS
WORDS = st.text("abcÆ ", min_size=1, max_size=9)
TEXT_FIELDS = sorted(name for name, kind in STANDARD_FIELDS.items() if kind is FieldType.STRING)
FIELDS = st.sampled_from(["plan", "renewal", *TEXT_FIELDS[:3]])
HALF_HOURS = st.sampled_from(["00:00", "09:30", "23:00"])
ZONES = st.sampled_from(["UTC", "Europe/Oslo", "America/New_York"])
UNITS = st.sampled_from(["minutes", "hours", "days", "weeks"])
AMOUNTS = st.integers(1, 100)
SCALARS = WORDS | st.booleans() | st.integers(-9, 9)
SWITCHES = st.booleans()


def some(_kind: str, _needed: Any = None, **optional: Any) -> Written:
    """Write objects of a type, with all that is needed and some of what is optional."""
    whole = {"type": st.just(_kind), **(_needed or {})}
    return st.fixed_dictionaries(whole, optional=optional)


def a_condition(source: str, **keys: Any) -> Written:
    said = {"kind": st.just("condition"), "source": st.just(source), **keys}
    return st.fixed_dictionaries(said)


ON_PERSONS = st.one_of(
    a_condition("contact_field", field=st.sampled_from(TEXT_FIELDS),
                operator=st.sampled_from(["eq", "not_equals", "contains"]), value=WORDS),
    a_condition("contact_field", field=st.sampled_from(TEXT_FIELDS),
                operator=st.sampled_from(["is_empty", "is_not_empty"])),
    a_condition("custom_field", fieldDefinitionId=IDS, operator=st.sampled_from(["gte", "before"]),
                value=WORDS | st.just({"relative": {"amount": 7, "unit": "days",
                                                    "direction": "ago"}})),
    a_condition("list_membership", listId=IDS, operator=st.sampled_from(["in_list", "is_member"])),
)  # fmt: skip
ON_RUNS = ON_PERSONS | a_condition(
    "email_step", nodeId=STEP_IDS, metric=st.sampled_from(["sent", "opened", "bounced"]),
    operator=st.sampled_from(["has_activity", "not_occurred"]),
)  # fmt: skip


def rules(leaves: Written) -> Written:
    return leaves | st.fixed_dictionaries(
        {"kind": st.just("group"), "conditions": st.lists(leaves, min_size=1, max_size=3)},
        optional={"operator": st.sampled_from(["and", "or"])},
    )


NEXT = {"label": WORDS | st.none(), "next_step_id": EDGES}
UPDATES = st.lists(
    st.fixed_dictionaries(
        {"field": FIELDS},
        optional={
            "value": SCALARS | st.none(),
            "write_mode": st.sampled_from(["overwrite", "skip_if_filled"]),
        },
    ),
    max_size=3,
)
WAITING = {"duration_amount": AMOUNTS, "duration_unit": UNITS}
STEPS = st.one_of(
    some("send_email", email_id=IDS | st.none(), operational=SWITCHES, **NEXT),
    some("wait", **WAITING, **NEXT),
    some("wait", {"until_date_field": FIELDS}, trigger_time=HALF_HOURS, timezone=ZONES, **NEXT),
    some("wait", {"condition": rules(ON_RUNS)}, timeout_amount=AMOUNTS, timeout_unit=UNITS,
         timeout_step_id=EDGES, **NEXT),
    some("condition_check", condition=rules(ON_RUNS), true_step_id=EDGES, false_step_id=EDGES,
         default_step_id=EDGES),
    some("update_contact", updates=UPDATES, **NEXT),
    some("update_contact", {"field": FIELDS}, value=SCALARS, **NEXT),
    some("add_to_list", list_id=IDS | st.none(), **NEXT),
    some("remove_from_list", list_id=IDS | st.none(), **NEXT),
    some("send_webhook", endpoint_url=st.just("https://x.example/h"),
         method=st.sampled_from(["post", "get"]), auth_type=st.just("jwt"),
         custom_fields=st.dictionaries(st.sampled_from(["n", "m"]), SCALARS | st.none()),
         on_failure=st.sampled_from(["continue", "drop"]), **NEXT),
    some("send_webhook", {"auth_type": st.just("jwt"), "token": WORDS}, **NEXT),
    some("create_tent", prompt=WORDS, tent_name=WORDS, auto_publish=SWITCHES, **NEXT),
    some("drop_from_flow", label=WORDS),
)  # fmt: skip
TRIGGERS = st.one_of(
    some("added_to_static_list", list_id=IDS | st.none()),
    some("removed_from_static_list", list_id=IDS | st.none()),
    some("contact_created"),
    some("contact_updated", field=FIELDS | st.none(), operator=st.just("changed") | st.none()),
    some("contact_updated", {"field": FIELDS, "operator": st.sampled_from(["eq", "contains"])},
         value=WORDS),
    some("form_submitted", form_id=WORDS, tent_id=IDS),
    some("date_based", field=FIELDS, include_anniversaries=SWITCHES, trigger_time=HALF_HOURS,
         timezone=ZONES, mode=st.just("on_date")),
    some("date_based", mode=st.just("before_date"), days_before=st.integers(1, 365)),
    some("date_based", mode=st.just("after_date"), days_after=st.integers(1, 365)),
)  # fmt: skip


def _numbered(steps: list[Json]) -> list[Json]:
    ids = ["a", "b", "c", "d e/f"]
    return [{**step, "step_id": step_id} for step, step_id in zip(steps, ids, strict=False)]


DOCUMENTS: Written = st.fixed_dictionaries(
    {"name": WORDS},
    optional={
        "description": WORDS | st.none(),
        "reentry_policy": st.sampled_from(["allow", "no_reentry"]),
        "triggers": st.lists(TRIGGERS, max_size=3),
        "steps": st.lists(STEPS, max_size=4).map(_numbered),
        "disqualification_rules": st.none() | rules(ON_PERSONS),
        "settings": st.dictionaries(WORDS, SCALARS, max_size=2),
    },
)


@given(DOCUMENTS)
def test_what_every_document_means_can_be_written_as_one_that_means_the_same(sent: Json) -> None:
    meant = compile_document(sent)
    rendered = render(written(meant), sent)
    assert rendered is not None
    assert written(compile_document(rendered)) == written(meant)
    for kept in ("description", "settings"):
        assert (rendered[kept] or None) == (sent.get(kept) or None)


@pytest.mark.parametrize("kind", sorted(STEP_TYPES | TRIGGER_TYPES))
def test_every_type_is_among_what_is_tried(kind: str) -> None:
    assert find(STEPS | TRIGGERS, lambda one: one["type"] == kind)


def expressible(**changes: Any) -> Json | None:
    sent: Json = {"name": "n", "steps": WELCOME_STEPS, "settings": {"colour": "red"}, **changes}
    return render(written(engine.compile_document(sent)), sent)


def test_a_flow_of_the_engine_is_a_document_here() -> None:
    guard = {"rule": {**IN_ROME, "operator": "equals"}, "wants": False}
    trigger = {"type": "added_to_static_list", "list_id": str(LIST), "trigger_id": "mine"}
    here = expressible(triggers=[trigger], guards=[guard], reentry="once", description="d")
    same = document(
        name="n", description="d", reentry_policy="no_reentry", settings={"colour": "red"},
        disqualification_rules={**IN_ROME, "operator": "equals"},
    )  # fmt: skip
    assert here == same


CHANGE: Json = {"step_id": "u", "type": "update_contact"}
WAIT: Json = {"step_id": "w", "type": "wait"}
RULE: Json = {**IN_ROME, "operator": "equals"}


@pytest.mark.parametrize(
    "changes",
    [
        {"guards": [{"rule": RULE, "wants": True}]},
        {"guards": [{"rule": RULE, "wants": False, "at": ["entry"]}]},
        {"guards": [{"rule": RULE, "wants": False, "reason": "in_rome"}]},
        {"guards": [{"rule": RULE, "wants": False}] * 2},
        {"steps": [{**WAIT, "step_id": f"w{n}"} for n in range(101)]},
        {"steps": [{**WAIT, "until_date_field": "renewal", "time": "09:15"}]},
        {"steps": [{"step_id": "l", "type": "add_to_list",
                    "list_ids": [str(LIST), str(UUID(int=9))]}]},
        {"steps": [{**CHANGE, "operations": [
            {"field": "city", "source": "custom_field", "value": "x"}]}]},
        {"triggers": [{"type": "date_based", "field": "renewal", "offset_days": 400}]},
        {"triggers": [{"type": "contact_updated", "field": "plan", "field_type": "string"}]},
        {"settings": {"blob": "x" * 17_000}},
    ],
)  # fmt: skip
def test_what_this_dialect_has_no_words_for_is_not_shown(changes: Json) -> None:
    assert expressible(**changes) is None


def test_a_type_of_a_newer_version_is_not_shown() -> None:
    newer = {"name": "n", "steps": [{"step_id": "t", "type": "telepathy", "to": "all"}]}
    assert isinstance(Definition.model_validate(newer), Definition)
    assert render(newer, newer) is None
