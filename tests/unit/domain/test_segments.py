"""Dynamic lists inside the rules of flows: judged by their own rules, which the flow carries."""

from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from libs.contracts.flow_definitions import FlowDefined
from libs.domain.contact import CustomField, FieldType
from libs.domain.flow import Flow
from libs.domain.inventory import Inventory
from libs.domain.listening import hashed, reads_of
from libs.domain.predicates import CompiledSegments, Verdict, compile_rule
from libs.domain.readiness import readiness
from libs.domain.rules import MAX_NODES, AnyRule, RuleTree, Segments
from tests.support.builders import NOW, WORKSPACE, Json, a_flow, snapshot
from tests.support.waits import GONE_QUIET, ROME, a_guard, field, waiting

TREE: TypeAdapter[AnyRule] = TypeAdapter(RuleTree)
ROMANS, OTHERS, STATIC = (UUID(int=number) for number in (51, 52, 53))
PLAN = UUID(int=61)
CUSTOM = {PLAN: CustomField(api_name="plan", type=FieldType.STRING)}


def on_list(list_id: UUID, operator: str = "is_member") -> Json:
    return {"kind": "condition", "source": "list_membership", "list_id": str(list_id),
            "operator": operator}  # fmt: skip


def group(operator: str, *conditions: Json) -> Json:
    return {"kind": "group", "operator": operator, "conditions": list(conditions)}


ON_PLAN: Json = {"kind": "condition", "source": "custom_field", "operator": "equals",
                 "field_definition_id": str(PLAN), "value": "pro"}  # fmt: skip


def rules(**lists: Json | None) -> Segments:
    """Rules by the names of the lists above."""
    ids = {"romans": ROMANS, "others": OTHERS}
    return {
        ids[name]: None if rule is None else TREE.validate_python(rule)
        for name, rule in lists.items()
    }


def judged(rule: Json, segments: Segments, **fields: Any) -> Verdict:
    judge = compile_rule(TREE.validate_python(rule), {}, CompiledSegments(segments, {}))
    return judge(snapshot(**fields), NOW)


def test_a_list_is_judged_by_its_rules_and_through_others() -> None:
    segments = rules(romans=ROME, others=group("and", on_list(ROMANS, "is_not_member")))
    for city, roman in (("Rome", True), ("Oslo", False)):
        assert judged(on_list(ROMANS), segments, city=city).outcome is roman
        assert judged(on_list(ROMANS, "is_not_member"), segments, city=city).outcome is not roman
        assert judged(on_list(OTHERS), segments, city=city).outcome is not roman


def test_an_event_that_put_somebody_on_a_dynamic_list_counts_for_nothing() -> None:
    judge = compile_rule(
        TREE.validate_python(on_list(ROMANS)), {}, CompiledSegments(rules(romans=ROME), {})
    )
    known = snapshot(city="Oslo")
    known = type(known)(known.contact_id, known.fields, lists=frozenset({ROMANS}))
    assert judge(known, NOW).outcome is False


@pytest.mark.parametrize("operator", ["is_member", "is_not_member"])
def test_what_rests_on_what_cannot_be_judged_cannot_be_judged(operator: str) -> None:
    number = field("tentedScore", "greater_than", 3)
    for segments in (rules(romans=None), rules(romans=number), rules(romans=on_list(ROMANS))):
        asked = on_list(ROMANS, operator)
        assert judged(asked, segments, tentedScore="many").outcome is None
        settled = group("or", asked, ROME)
        assert judged(settled, segments, city="Rome", tentedScore="many").outcome is True


def test_the_decision_is_explained_down_to_what_was_seen() -> None:
    verdict = judged(on_list(OTHERS), rules(romans=ROME, others=on_list(ROMANS)), city="Oslo")
    assert [(one.saw, one.outcome) for one in verdict.seen] == [
        (False, False), (False, False), ("Oslo", False)
    ]  # fmt: skip


def test_a_list_says_when_time_will_change_who_is_on_it() -> None:
    quiet_since = (NOW - timedelta(days=29)).isoformat()
    verdict = judged(
        on_list(ROMANS, "is_not_member"), rules(romans=GONE_QUIET), lastActivityAt=quiet_since
    )
    assert (verdict.outcome, verdict.until) == (True, NOW + timedelta(days=1))


def test_asking_twice_at_every_level_takes_no_longer_than_asking_once() -> None:
    """Thirty lists, each of which asks twice about the next: judged anew that is 2**30 times."""
    ids = [UUID(int=1000 + number) for number in range(30)]
    chain: dict[UUID, AnyRule | None] = {
        one: TREE.validate_python(group("and", on_list(below), on_list(below)))
        for one, below in pairwise(ids)
    }
    chain[ids[-1]] = TREE.validate_python(ROME)
    verdict = judged(on_list(ids[0]), chain, city="Rome")
    assert verdict.outcome is True
    assert len(verdict.seen) == 2 * len(ids)
    assert len(list(reads_of(TREE.validate_python(on_list(ids[0])), {}, chain))) == 1


def test_nothing_of_one_contact_is_remembered_for_the_next() -> None:
    judge = compile_rule(
        TREE.validate_python(on_list(ROMANS)), {}, CompiledSegments(rules(romans=ROME), {})
    )
    assert [judge(snapshot(city=city), NOW).outcome for city in ("Rome", "Oslo", "Rome")] == [
        True, False, True,
    ]  # fmt: skip


def a_segmented_flow(segments: Segments, **changes: Any) -> Flow:
    return a_flow(waiting(on_list(ROMANS)), segments=segments, custom_fields=CUSTOM, **changes)


def test_a_flow_listens_to_what_its_lists_look_at() -> None:
    through = group("or", ROME, ON_PLAN, on_list(STATIC))
    flow = a_segmented_flow(
        rules(romans=on_list(OTHERS), others=through), guards=[a_guard(on_list(OTHERS))]
    )
    facts = hashed(["field:city", "custom:plan", f"list:{STATIC}"])
    assert set(flow.listens_at("until")) == facts
    assert set(flow.listens_at("met")) == facts, "the guard is listened to everywhere"


def test_a_guard_sees_through_a_list() -> None:
    flow = a_segmented_flow(rules(romans=ROME), guards=[a_guard(on_list(ROMANS))])
    assert flow.refuses("event", snapshot(city="Rome"), NOW) == "disqualified"
    assert flow.refuses("event", snapshot(city="Oslo"), NOW) is None


def test_a_definition_names_what_it_must_carry() -> None:
    known = rules(romans=group("and", on_list(OTHERS), ON_PLAN), others=ROME)
    flow = a_flow(waiting(on_list(ROMANS)))
    assert flow.segments_named(known) == known
    assert flow.custom_fields_named(CUSTOM, known) == CUSTOM
    assert flow.custom_fields_named(CUSTOM, {}) == {}
    assert a_flow().segments_named(known) == {}


def test_the_lists_of_a_flow_are_no_larger_than_one_tree() -> None:
    large = group("or", *[ROME] * (MAX_NODES - 1))
    flow = a_flow(waiting(group("or", on_list(ROMANS), on_list(OTHERS))))
    fits = rules(romans=large)
    assert flow.segments_named(fits) == fits
    assert flow.segments_named(rules(romans=large, others=ROME)) == rules(romans=large, others=None)


def test_a_flow_without_dynamic_lists_travels_as_before() -> None:
    message = {"id": UUID(int=1), "time": NOW, "workspace_id": WORKSPACE}
    plain = FlowDefined.model_validate({**message, "flow": a_flow()})
    assert "segments" not in plain.model_dump(mode="json")["flow"]
    flow = a_segmented_flow(rules(romans=ROME, others=None))
    sent = FlowDefined.model_validate({**message, "flow": flow})
    assert FlowDefined.model_validate_json(sent.body()).flow == flow


def codes(flow: Flow, **there: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return [(one.place, one.code) for one in readiness(flow, Inventory(**there)).missing]


def test_readiness_sees_through_lists() -> None:
    condition, guard = ("steps", 0, "condition"), ("guards", 0, "rule")
    flow = a_flow(waiting(on_list(ROMANS)), triggers=[], guards=[a_guard(on_list(OTHERS))])
    assert codes(flow) == [(guard, "unknown"), (condition, "unknown")]
    known = rules(romans=ROME, others=ROME)
    assert codes(flow, segments=known) == []
    assert codes(flow, segments=known, lists=frozenset({ROMANS})) == []
    assert codes(flow, segments=rules(romans=on_list(STATIC), others=ON_PLAN)) == [
        (guard, "unknown"), (condition, "unknown")
    ]  # fmt: skip
    assert codes(flow, segments=rules(romans=None, others=ROME)) == [(condition, "not_judgeable")]


def test_a_dynamic_list_starts_no_flow_and_takes_nobody() -> None:
    steps = [{"step_id": "a", "type": "add_to_list", "list_ids": [str(ROMANS)]}]
    flow = a_flow(steps, triggers=[{"type": "added_to_static_list", "list_id": str(ROMANS)}])
    assert [place for place, _ in codes(flow, segments=rules(romans=ROME))] == [
        ("triggers", 0, "list_id"), ("steps", 0, "list_ids")
    ]  # fmt: skip
