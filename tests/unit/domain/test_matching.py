"""The trigger index: what an event starts, at what cost, and what is kept of a flow."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.contact import ContactSnapshot
from libs.domain.contact_changes import ContactChange
from libs.domain.enrollment import MAX_DEPTH, History, refusal
from libs.domain.flow import Flow
from libs.domain.matching import FlowTriggers, Match, TriggerIndex, trigger_of
from libs.domain.predicates import compare
from libs.domain.rules import OPERATORS
from libs.domain.trigger import EventTest, TriggerEvent
from libs.domain.triggers.contact_updated import ContactUpdatedTrigger, NewValue
from tests.support.builders import CONTACT, LIST, NOW, WORKSPACE, Json, a_flow, snapshot

TYPES = {"tags": "string", "score": "number", "seen": "date", "vip": "boolean"}


def flow_with(number: int, *triggers: Json, **changes: Any) -> Flow:
    fields = {str(UUID(int=900 + place)): {"api_name": name, "type": kind}
              for place, (name, kind) in enumerate(TYPES.items())}  # fmt: skip
    whole = {"flow_id": UUID(int=number), "triggers": list(triggers), "custom_fields": fields}
    return a_flow([], **{**whole, **changes})


def updated(field: str | None = "leadStatus", **more: Any) -> Json:
    return {"type": "contact_updated", "field": field, **more}


def index_of(*flows: Flow) -> TriggerIndex:
    index = TriggerIndex()
    for flow in flows:
        index.put(FlowTriggers.of(flow))
    return index


def an_event(kind: str, **data: Any) -> TriggerEvent:
    return TriggerEvent(WORKSPACE, kind, data, NOW)


def started(index: TriggerIndex, kind: str, **data: Any) -> list[int]:
    return [match.flow_id.int for match in index.started_by(an_event(kind, **data))]


def becomes(index: TriggerIndex, **fields: Any) -> list[int]:
    return started(index, "contact.updated", fields=fields, custom_fields={})


def test_being_taken_off_a_list_starts_what_asks_for_that_list() -> None:
    off = {"type": "removed_from_static_list", "list_id": str(LIST)}
    on = {"type": "added_to_static_list", "list_id": str(LIST)}
    index = index_of(flow_with(1, off), flow_with(2, on))
    assert started(index, "list.contact_removed", list_id=LIST) == [1]
    assert started(index, "list.contact_added", list_id=LIST) == [2]
    assert started(index, "list.contact_removed", list_id=UUID(int=8)) == []


def test_a_form_starts_what_asks_for_it_on_any_tent_or_on_this_one() -> None:
    def form(form_id: str | None, tent: int | None = None) -> Json:
        tent_id = str(UUID(int=tent)) if tent else None
        return {"type": "form_submitted", "form_id": form_id, "tent_id": tent_id}

    index = index_of(
        flow_with(1, form("signup")), flow_with(2, form("signup", 7)),
        flow_with(3, form("signup", 8)), flow_with(4, form("Signup")), flow_with(5, form(None, 7)),
    )  # fmt: skip
    assert started(index, "form.submitted", form_id="signup", tent_id=UUID(int=7)) == [1, 2]


@pytest.mark.parametrize(
    ("trigger", "value", "fires"),
    [
        ({}, "hot", True), ({"operator": None}, "hot", True), ({"operator": "changed"}, None, True),
        ({"operator": "equals", "value": "Hot"}, "hOt", True),
        ({"operator": "equals", "value": "hot"}, "cold", False),
        ({"operator": "equals", "value": "hot"}, None, False),
        ({"operator": "not_equals", "value": "hot"}, "cold", True),
        ({"operator": "not_equals", "value": "hot"}, "HOT", False),
        ({"operator": "contains", "value": "O"}, "hot", True),
        ({"operator": "is_empty"}, "", True), ({"operator": "is_empty"}, "hot", False),
    ],
)  # fmt: skip
def test_the_new_value_is_judged_as_rules_would(trigger: Json, value: Any, *, fires: bool) -> None:
    index = index_of(flow_with(1, updated(**trigger)))
    assert becomes(index, leadStatus=value) == ([1] if fires else [])
    assert becomes(index, city=value) == [], "another field concerns nobody"
    assert started(index, "contact.created", fields={"leadStatus": value}) == []


def test_custom_fields_are_judged_by_their_type_and_told_apart() -> None:
    index = index_of(
        flow_with(1, updated("score", operator="greater_than", value=9)),
        flow_with(2, updated("seen", operator="greater_than", value="2026-07-01")),
        flow_with(3, updated("vip", operator="is_true")),
        flow_with(4, updated("city", source="custom_field")),
        flow_with(5, updated("unheard_of", operator="greater_than_or_equal", value=3)),
    )

    def custom(**fields: Any) -> list[int]:
        return started(index, "contact.updated", fields={}, custom_fields=fields)

    assert (custom(score=10), custom(score="9")) == ([1], [])
    assert custom(seen="2026-07-02T10:00:00Z") == [2]
    assert (custom(vip=True), custom(vip=False), custom(vip=1)) == ([3], [], [])
    assert (custom(city="Rome"), becomes(index, city="Rome")) == ([4], [])
    assert custom(unheard_of=3) == [5], "the operand tells the type of a field nobody defined"


def test_relative_dates_count_from_the_event_whenever_it_is_matched() -> None:
    week = {"relative": {"amount": 7, "unit": "days", "direction": "from_now"}}
    index = index_of(flow_with(1, updated("seen", operator="less_than", value=week)))
    event = an_event("contact.updated", fields={}, custom_fields={"seen": "2026-07-05"})
    assert len(list(index.started_by(event))) == 1
    assert list(index.started_by(event._replace(at=NOW.replace(month=5)))) == []


@dataclass(frozen=True, slots=True)
class Counted(EventTest):
    """A test that counts how often it is judged."""

    judged: list[int]

    def __hash__(self) -> int:
        return 0

    def holds(self, event: TriggerEvent) -> bool:  # noqa: ARG002  (as in EventTest)
        self.judged.append(1)
        return True


def test_what_many_flows_ask_alike_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    monkeypatch.setattr(NewValue, "holds", Counted(judged).holds)
    index = index_of(*(flow_with(n, updated(operator="contains", value="o")) for n in range(1, 51)))
    assert becomes(index, leadStatus="hot") == list(range(1, 51))
    assert len(judged) == 1


def test_what_asks_for_one_value_costs_an_event_with_another_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[int] = []
    monkeypatch.setattr(NewValue, "holds", Counted(judged).holds)
    triggers = [updated(operator="equals", value=f"stage {n}") for n in range(1, 101)]
    index = index_of(*(flow_with(n, one) for n, one in enumerate(triggers, 1)))
    assert becomes(index, leadStatus="Stage 7") == [7]
    assert judged == []


def test_a_flow_comes_once_if_it_is_sure_and_else_with_every_trigger_that_may_fire() -> None:
    sure = {"type": "form_submitted", "form_id": "f"}
    index = index_of(
        flow_with(1, updated(), updated("city", trigger_id="by-city"), sure),
        flow_with(2, sure, {**sure, "trigger_id": "again"}),
    )
    event = an_event("contact.updated", fields={"city": "Rome", "leadStatus": "x"})
    assert [(one.trigger_id, one.trigger_type, one.judges_facts)
            for one in index.started_by(event)] == [
        ("by-city", "contact_updated", True), ("0", "contact_updated", True),
    ]  # fmt: skip
    (first, second) = index.started_by(an_event("form.submitted", form_id="f"))
    assert (first.flow_id.int, first.trigger_id, first.judges_facts) == (1, "2", False)
    assert second.flow_id.int == 2


def test_a_trigger_is_found_by_its_id_or_its_place() -> None:
    flow = flow_with(1, updated(), updated("city", trigger_id="by-city"))
    assert trigger_of(flow, "by-city") is flow.triggers[1]
    assert trigger_of(flow, "0") is flow.triggers[0]
    assert trigger_of(flow, "1") is None
    assert trigger_of(flow, "") is None


def test_nothing_is_left_of_a_flow_that_is_forgotten() -> None:
    index = index_of()
    twice = [updated(), updated()]
    for version, status in enumerate(("active", "active", "paused"), 1):
        flow = flow_with(1, *twice, updated(operator="not_equals", value="x"), version=version)
        index.put(FlowTriggers.of(flow.model_copy(update={"status": status})))
    empty = index_of()
    assert vars(index) == vars(empty)


def test_of_definitions_only_what_matching_needs_is_kept() -> None:
    index = index_of(flow_with(1, updated(operator="contains", value="o")))
    (match,) = index.started_by(an_event("contact.updated", fields={"leadStatus": "hot"}))
    assert match == Match(UUID(int=1), 1, "contact_updated", "0", judges_facts=True)
    assert FlowTriggers.of(flow_with(1, updated(), status="paused")).triggers == []


TEXT = st.sampled_from(["", "hot", "Hot", "7", "7.0", "true", "ß", "SS", "2026-07-02"])
VALUES = st.one_of(TEXT, st.none(), st.booleans(), st.sampled_from([0, 1, 7, 7.5]))
FIELDS = st.sampled_from(["leadStatus", "unsubscribed", "tentedScore", "createdAt", *TYPES])


@given(FIELDS, st.sampled_from(sorted(frozenset().union(*OPERATORS.values()))), VALUES, VALUES)
def test_the_index_finds_what_judging_every_trigger_would(
    field: str, operator: str, operand: Any, value: Any
) -> None:
    """Wherever a trigger is filed, an event finds it if its operator holds, and else does not."""
    flow = flow_with(1, updated(field, operator=operator, value=operand))
    trigger = FlowTriggers.of(flow).triggers[0]
    assert isinstance(trigger, ContactUpdatedTrigger)
    where = "custom_fields" if field in TYPES else "fields"
    kind = TYPES.get(field) or {"leadStatus": "string", "unsubscribed": "boolean",
                                "tentedScore": "number", "createdAt": "date"}[field]  # fmt: skip
    expected = compare(next(one for one in OPERATORS if one == kind), operator, value, operand, NOW)
    found = started(index_of(flow), "contact.updated", **{where: {field: value}})
    assert found == ([1] if expected is True else [])


def test_an_update_fires_only_if_the_value_was_another() -> None:
    (trigger,) = flow_with(1, updated()).triggers

    def fires(known: ContactSnapshot, value: Any) -> bool:
        return trigger.fires(known, ContactChange(NOW, fields={"leadStatus": value}))

    assert fires(snapshot(leadStatus="cold"), "hot")
    assert not fires(snapshot(leadStatus="hot"), "hot")
    assert not fires(snapshot(leadStatus=None), "")
    assert fires(ContactSnapshot(CONTACT), "hot"), "nothing known of the field is no value of it"
    assert not trigger.fires(snapshot(), ContactChange(NOW, fields={"city": "Rome"}))
    custom = replace(snapshot(), custom_fields={"leadStatus": "hot"})
    assert fires(custom, "hot"), "a custom field of the same name is another field"


def test_more_flows_than_ten_in_a_row_are_taken_for_a_loop() -> None:
    assert refusal(a_flow(), snapshot(), History(depth=MAX_DEPTH), NOW) is None
    assert refusal(a_flow(), snapshot(), History(depth=MAX_DEPTH + 1), NOW) == "too_deep"
    paused = a_flow(status="paused")
    assert refusal(paused, snapshot(), History(depth=99), NOW) == "flow_not_active"
