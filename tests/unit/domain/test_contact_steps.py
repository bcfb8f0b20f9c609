"""Steps that change the contact: what they ask of its owner, and what the walk makes of it."""

from typing import Any
from uuid import UUID

import pytest

from libs.domain.contact import ContactSnapshot
from libs.domain.contact_changes import ContactChange, differs, same_value
from libs.domain.flow import Flow
from libs.domain.step_result import TellOwner, overlaid
from libs.domain.walk import WalkResult, walk
from libs.domain.walk_events import ENTERED
from tests.support.builders import CONTACT, LIST, NOW, WELCOME, Json, a_flow, a_membership, snapshot

OTHER_LIST = UUID(int=12)


def update(step_id: str, *operations: Json, **more: Any) -> Json:
    return {"step_id": step_id, "type": "update_contact", "operations": list(operations), **more}


def put(field: str, value: Any, op: str = "set", **more: Any) -> Json:
    return {"op": op, "field": field, "value": value, **more}


def enters(flow: Flow, contact: ContactSnapshot | None = None) -> WalkResult:
    return walk(flow, a_membership(), contact or snapshot(), ENTERED, NOW)


def asked(result: WalkResult) -> list[TellOwner]:
    return [effect for effect in result.effects if isinstance(effect, TellOwner)]


def told(result: WalkResult, step_id: str) -> Any:
    (entry,) = [one for one in result.timeline if one.step_id == step_id]
    return entry.details


def test_a_step_asks_for_all_its_changes_at_once_and_goes_on() -> None:
    step = update(
        "u", put("city", "Rome"), put("plan", 3), put("phone", None, "clear"), edges={"next": "end"}
    )
    out = {"step_id": "end", "type": "drop_from_flow"}
    result = enters(a_flow([step, out]), snapshot(city="Oslo", phone="1"))
    (effect,) = asked(result)
    assert effect.change.fields == {"city": "Rome", "phone": None}
    assert effect.change.custom_fields == {"plan": 3}
    assert effect.differs
    assert told(result, "u") == {"outcome": "updated", "updated": ["city", "phone", "plan"]}
    assert result.membership.drop_reason == "drop_from_flow"


def test_a_custom_field_with_the_name_of_a_standard_one_is_told_apart() -> None:
    step = update("u", put("city", 1, source="custom_field"), put("city", "Rome"))
    (effect,) = asked(enters(a_flow([step])))
    assert (effect.change.fields, effect.change.custom_fields) == ({"city": "Rome"}, {"city": 1})


@pytest.mark.parametrize(("known", "skips"), [("Oslo", True), ("", False), (None, False)])
def test_a_filled_field_is_left_alone_and_that_is_told(known: Any, *, skips: bool) -> None:
    result = enters(
        a_flow([update("u", put("city", "Rome", "set_if_empty"))]), snapshot(city=known)
    )
    assert [effect.change.fields for effect in asked(result)] == (
        [] if skips else [{"city": "Rome"}]
    )
    expected: Json = {"outcome": "updated", "updated": ["city"]}
    assert told(result, "u") == ({"outcome": "skipped", "skipped": ["city"]} if skips else expected)


def test_a_filled_field_beside_others_costs_only_itself() -> None:
    step = update("u", put("city", "Rome", "set_if_empty"), put("state", "RM"))
    result = enters(a_flow([step]), snapshot(city="Oslo"))
    assert told(result, "u") == {"outcome": "updated", "updated": ["state"], "skipped": ["city"]}


def test_what_steps_before_did_counts_as_filled() -> None:
    first = update(
        "a", put("city", "Rome"), put("city", "Oslo", "set_if_empty"), edges={"next": "b"}
    )
    second = update("b", put("city", "Bonn", "set_if_empty"), edges={"next": "c"})
    third = update("c", put("city", None, "clear"), put("city", "Kiel", "set_if_empty"))
    result = enters(a_flow([first, second, third]))
    assert [one.change.fields for one in asked(result)] == [{"city": "Rome"}, {"city": "Kiel"}]
    assert told(result, "b") == {"outcome": "skipped", "skipped": ["city"]}


def asks(condition: Json) -> Json:
    return {"step_id": "ask", "type": "condition_check",
            "condition": {"kind": "condition", **condition}, "edges": {"true": "out"}}  # fmt: skip


@pytest.mark.parametrize(
    ("step", "condition"),
    [
        (update("u", put("city", "Rome")),
         {"source": "contact_field", "field": "city", "operator": "equals", "value": "rome"}),
        (update("u", put("plan", "gold")),
         {"source": "custom_field", "field_definition_id": str(UUID(int=5)), "operator": "equals",
          "value": "gold"}),
        ({"step_id": "u", "type": "add_to_list", "list_ids": [str(OTHER_LIST), str(LIST)]},
         {"source": "list_membership", "list_id": str(LIST), "operator": "is_member"}),
        ({"step_id": "u", "type": "remove_from_list", "list_ids": [str(UUID(int=13))]},
         {"source": "list_membership", "list_id": str(UUID(int=13)), "operator": "is_not_member"}),
    ],
)  # fmt: skip
def test_a_condition_right_behind_sees_the_change(step: Json, condition: Json) -> None:
    steps = [{**step, "edges": {"next": "ask"}}, asks(condition),
             {"step_id": "out", "type": "drop_from_flow"}]  # fmt: skip
    fields = {str(UUID(int=5)): {"api_name": "plan", "type": "string"}}
    contact = ContactSnapshot(CONTACT, lists=frozenset({UUID(int=13)}))
    result = enters(a_flow(steps, custom_fields=fields), contact)
    assert result.membership.drop_reason == "drop_from_flow"


def test_disqualification_sees_the_change_too() -> None:
    rule = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "equals",
            "value": "Rome"}  # fmt: skip
    mail = {"step_id": "m", "type": "send_email", "email_id": str(WELCOME)}
    steps = [update("u", put("city", "Rome"), edges={"next": "m"}), mail]
    result = enters(a_flow(steps, guards=[{"rule": rule, "wants": False}]))
    assert result.membership.drop_reason == "disqualified"
    assert result.effects == tuple(asked(result)), "the change was asked for before, no mail after"


def test_each_list_is_asked_for_once_and_alone() -> None:
    lists = [str(LIST), str(OTHER_LIST), str(LIST)]
    result = enters(a_flow([{"step_id": "u", "type": "add_to_list", "list_ids": lists}]))
    assert [one.change.joined for one in asked(result)] == [LIST, OTHER_LIST]
    assert told(result, "u") == {"outcome": "added", "list_ids": lists[:2]}
    none = enters(a_flow([{"step_id": "u", "type": "remove_from_list"}]))
    assert told(none, "u") == {"outcome": "skipped", "reason": "no_list"}


def test_what_makes_no_difference_is_asked_for_all_the_same_and_says_so() -> None:
    same = update("a", put("city", "Rome"), edges={"next": "b"})
    steps = [same, {"step_id": "b", "type": "add_to_list", "list_ids": [str(LIST)]}]
    contact = ContactSnapshot(CONTACT, {"city": "Rome"}, lists=frozenset({LIST}))
    assert [one.differs for one in asked(enters(a_flow(steps), contact))] == [False, False]
    there_and_back = [update("x", put("city", "Oslo"), edges={"next": "a"}), *steps]
    assert [one.differs for one in asked(enters(a_flow(there_and_back), contact))] == [
        True, True, False,
    ]  # fmt: skip


def test_an_overlay_keeps_what_became_of_the_mails_of_the_run() -> None:
    contact = ContactSnapshot(CONTACT, {"city": "Rome"}, engagement={"m": {"opened": NOW}})
    after = overlaid(contact, [TellOwner(ContactChange(NOW, fields={"city": "Oslo"}))])
    assert (after.fields["city"], after.engagement) == ("Oslo", {"m": {"opened": NOW}})
    assert overlaid(contact, []) is contact


def test_no_value_and_empty_text_are_the_same_and_true_is_not_one() -> None:
    assert same_value(None, "")
    assert not same_value(1, True)
    known = ContactSnapshot(CONTACT, {"city": None}, lists=frozenset({LIST}))
    assert not differs(known, ContactChange(NOW, fields={"city": "", "state": None}))
    assert not differs(known, ContactChange(NOW, joined=LIST))
    assert differs(known, ContactChange(NOW, left=LIST))
    assert differs(known, ContactChange(NOW, custom_fields={"n": 0}))
