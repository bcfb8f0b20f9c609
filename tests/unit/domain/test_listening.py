"""What a rule listens to: whatever makes its outcome another one is heard, or was foreseen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from libs.domain.activity import ActivityKind, PastActivity, merged
from libs.domain.calendar import duration, read_instant
from libs.domain.contact import ContactSnapshot, CustomField, FieldType
from libs.domain.contact_changes import ContactChange, fold
from libs.domain.listening import KEYING, Engaged, hashed, keys_of, reads_of
from libs.domain.membership import with_metric
from libs.domain.needs import asked_by
from libs.domain.predicates import CompiledSegments, compile_rule, kind_of
from libs.domain.rules import Activity, AnyRule, RelativeDate, RuleTree, Segments, nodes_through
from tests.support.builders import CONTACT, NOW, Json

TREE: TypeAdapter[AnyRule] = TypeAdapter(RuleTree)
LISTS = [UUID(int=number) for number in (21, 22)]
LOW, HIGH, UNJUDGEABLE = (UUID(int=number) for number in (23, 24, 25))
PLAN, RENEWS, SEATS, UNKNOWN = (UUID(int=number) for number in (31, 32, 33, 34))
CUSTOM = {
    PLAN: CustomField(api_name="plan", type=FieldType.STRING),
    RENEWS: CustomField(api_name="renews", type=FieldType.DATE),
    SEATS: CustomField(api_name="seats", type=FieldType.NUMBER),
}
MOMENT = timedelta(microseconds=1)
MIN, MAX = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
STEPS = ["hello", "again"]
METRICS = ["opened", "clicked"]
MAILS = [UUID(int=number) for number in (41, 42)]
FORMS = ["f1", "f2"]

MOMENTS = st.integers(-60, 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
DATES = st.one_of(
    MOMENTS.map(lambda moment: moment.isoformat()),
    st.sampled_from(["2026-07-02", "2026-07-03", "soon", "", None, "0001-01-01", "9999-12-31"]),
)
RELATIVE = st.builds(
    lambda amount, unit, direction: {
        "relative": {"amount": amount, "unit": unit, "direction": direction}
    },
    st.integers(0, 40), st.sampled_from(["minutes", "hours"]), st.sampled_from(["ago", "from_now"]),
)  # fmt: skip
ORDERED = st.sampled_from(
    [
        "equals",
        "not_equals",
        "greater_than",
        "greater_than_or_equal",
        "less_than",
        "less_than_or_equal",
    ]
)
FILLED = st.sampled_from(["is_empty", "is_not_empty"])
TEXTS = st.sampled_from(["a", "b", ""])


def field(name: str, operator: str, value: Any = None) -> Json:
    rule = {"kind": "condition", "source": "contact_field", "field": name, "operator": operator}
    return rule if value is None else {**rule, "value": value}


def custom(field_id: UUID, operator: str, value: Any) -> Json:
    return {"kind": "condition", "source": "custom_field", "field_definition_id": str(field_id),
            "operator": operator, "value": value}  # fmt: skip


def did(kind: Json, operator: str, count: Json | None, within: Json | None) -> Json:
    rule = {"kind": "condition", "source": "activity", "operator": operator, **kind}
    return rule | {name: said for name, said in (("count", count), ("within", within)) if said}


COUNTED = st.one_of(
    st.just({"metric": "Placed Order"}),
    st.fixed_dictionaries({"metric": st.just("email.opened")},
                          optional={"email_id": st.sampled_from(MAILS).map(str)}),
    st.fixed_dictionaries({"metric": st.just("form.submitted")},
                          optional={"form_id": st.sampled_from(FORMS),
                                    "tent_id": st.sampled_from(MAILS).map(str)}),
)  # fmt: skip
ACTIVITY = st.builds(
    did, COUNTED, st.sampled_from(["has_activity", "has_no_activity"]),
    st.none() | st.fixed_dictionaries({"operator": ORDERED, "value": st.integers(0, 3)}),
    st.none() | st.fixed_dictionaries({"amount": st.integers(1, 40),
                                       "unit": st.sampled_from(["minutes", "hours"])}),
)  # fmt: skip


def on_list(one: UUID, operator: str = "is_member") -> Json:
    return {"kind": "condition", "source": "list_membership", "list_id": str(one),
            "operator": operator}  # fmt: skip


ON_OR_OFF = st.sampled_from(["is_member", "is_not_member"])
CONDITIONS = st.one_of(
    ACTIVITY,
    st.builds(field, st.sampled_from(["lastActivityAt", "createdAt", "updatedAt"]), ORDERED,
              st.one_of(RELATIVE, DATES.filter(bool))),
    st.builds(custom, st.just(RENEWS), ORDERED, st.one_of(RELATIVE, DATES.filter(bool))),
    st.builds(field, st.sampled_from(["city", "email"]), st.sampled_from(["equals", "contains"]),
              st.sampled_from(["a", "b"])),
    st.builds(field, st.sampled_from(["city", "lastActivityAt", "unsubscribed"]), FILLED),
    st.builds(custom, st.sampled_from([PLAN, UNKNOWN]), st.just("equals"), st.just("a")),
    st.builds(custom, st.just(SEATS), ORDERED, st.integers(0, 2)),
    st.builds(on_list, st.sampled_from(LISTS), ON_OR_OFF),
    st.builds(lambda step, metric, operator: {"kind": "condition", "source": "email_step",
                                              "step_id": step, "metric": metric,
                                              "operator": operator},
              st.sampled_from(STEPS), st.sampled_from(METRICS),
              st.sampled_from(["has_activity", "has_no_activity"])),
)  # fmt: skip


def group(operator: str, conditions: list[Json]) -> Json:
    return {"kind": "group", "operator": operator, "conditions": conditions}


def trees(*dynamic: UUID) -> st.SearchStrategy[Json]:
    """Trees that may ask about these dynamic lists as well."""
    on_dynamic = [st.builds(on_list, st.sampled_from(dynamic), ON_OR_OFF)] if dynamic else []
    return st.recursive(
        st.one_of(CONDITIONS, *on_dynamic),
        lambda inner: st.builds(
            group, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=4)
        ),
        max_leaves=8,
    ).map(lambda tree: tree if tree["kind"] == "group" else group("and", [tree]))


TREES = trees(LOW, HIGH, UNJUDGEABLE)
SEGMENTS = st.builds(
    lambda low, high: {
        LOW: TREE.validate_python(low), HIGH: TREE.validate_python(high), UNJUDGEABLE: None
    },
    trees(UNJUDGEABLE), trees(LOW),
)  # fmt: skip
"""One list that asks about the other, and one that cannot be judged."""

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "city": TEXTS, "email": TEXTS, "lastActivityAt": DATES, "createdAt": DATES,
        "updatedAt": DATES, "unsubscribed": st.booleans(),
    },
)  # fmt: skip
CUSTOM_FIELDS = st.fixed_dictionaries(
    {}, optional={"plan": TEXTS, "renews": DATES, "seats": st.integers(0, 2)}
)
CHANGES = st.one_of(
    st.builds(ContactChange, MOMENTS, st.booleans(), st.just(value=True), fields=FIELDS,
              custom_fields=CUSTOM_FIELDS),
    st.builds(lambda at, one: ContactChange(at, joined=one), MOMENTS, st.sampled_from(LISTS)),
    st.builds(lambda at, one: ContactChange(at, left=one), MOMENTS, st.sampled_from(LISTS)),
)  # fmt: skip
ENGAGED = st.builds(Engaged, st.sampled_from(STEPS), st.sampled_from(METRICS))
DONE = st.one_of(
    st.just(ActivityKind("Placed Order")),
    st.builds(ActivityKind, st.just("email.opened"), st.sampled_from(MAILS)),
    st.builds(ActivityKind, st.just("form.submitted"), st.none(), st.sampled_from(FORMS),
              st.none() | st.sampled_from(MAILS)),
)  # fmt: skip
EVENTS = st.tuples(CHANGES, st.none() | ENGAGED, st.none() | DONE)
Event = tuple[ContactChange, Engaged | None, ActivityKind | None]

BEGIN = ContactChange(NOW - timedelta(hours=2), creates=True, introduces=True)
LAST_HOUR = {"relative": {"amount": 1, "unit": "hours", "direction": "ago"}}
ACTIVE = ContactChange(NOW, fields={"lastActivityAt": NOW.isoformat()})
OTHER = ContactChange(NOW, fields={"city": "a"})


def after(known: ContactSnapshot, event: Event) -> ContactSnapshot:
    """Take an event in as the executor does."""
    change, engaged, done = event
    contact = fold(CONTACT, known, change)
    assert contact is not None
    engagement = known.engagement
    if engaged is not None:
        engagement = with_metric(engagement, engaged.step_id, engaged.metric, change.at)
    activity = {
        kind: past.and_one(change.at) if done and kind.counts(done) else past
        for kind, past in (known.activity or {}).items()
    }
    return replace(contact, engagement=engagement, activity=activity)


def begun(rule: AnyRule, segments: Segments, floor: int | None = None) -> ContactSnapshot:
    """Give the contact as it began: of its activity all was read, or what came after a moment."""
    unread = None if floor is None else NOW + timedelta(minutes=floor)
    past = {kind: PastActivity(unread_before=unread) for kind in merged(asked_by([rule], segments))}
    return after(ContactSnapshot(CONTACT, activity=past), (BEGIN, None, None))


@settings(max_examples=400)
@given(TREES, SEGMENTS, st.lists(EVENTS, max_size=4), EVENTS, MOMENTS, st.integers(0, 10**10))
@example(group("and", [field("lastActivityAt", "less_than", LAST_HOUR)]), {},
         [(ACTIVE, None, None)], (OTHER, None, None), NOW, 3600 * 10**6 + 1)  # fmt: skip
def test_whatever_changes_an_outcome_is_heard_or_was_foreseen(
    tree: Json,
    segments: Segments,
    before: list[Event],
    event: Event,
    at: datetime,
    micros: int,
) -> None:
    """Some facts and a moment; something happens and time passes, both at once."""
    rule = TREE.validate_python(tree)
    judge = compile_rule(rule, CUSTOM, CompiledSegments(segments, CUSTOM))
    known = begun(rule, segments)
    for earlier in before:
        known = after(known, earlier)
    later = at + timedelta(microseconds=micros)
    was, now = judge(known, at), judge(after(known, event), later)
    foreseen = was.until is not None and later >= was.until
    heard = not keys_of(*event).isdisjoint(hashed(reads_of(rule, CUSTOM, segments)))
    assert was.outcome is now.outcome or foreseen or heard


def turning_points(rule: AnyRule, segments: Segments, known: ContactSnapshot) -> set[datetime]:
    """Every instant at which any date that is known may meet any moving date of the rule."""
    values = [*known.fields.values(), *known.custom_fields.values()]
    dates = [read for value in values if (read := read_instant(str(value))) is not None]
    found = set()
    for node in nodes_through(rule, segments):
        operand = getattr(node, "value", None)
        if isinstance(node, Activity) and node.within is not None and known.activity:
            past = known.activity[kind_of(node)]
            window = duration(node.within.amount, node.within.unit)
            unread = (past.unread_before,) if past.unread_before else ()
            found |= {one + window for one in (*past.times, *unread)}
        if isinstance(operand, RelativeDate):
            distance = duration(operand.relative.amount, operand.relative.unit)
            near = [one for one in dates if MIN < one < MAX]
            found |= {one + sign * distance for one in near for sign in (1, -1)}
    return {one + micros * MOMENT for one in found for micros in (-1, 0, 1, 2)}


@settings(max_examples=300)
@given(TREES, SEGMENTS, st.lists(EVENTS, max_size=4), MOMENTS, st.none() | st.integers(-90, 0))
def test_who_looks_again_when_told_to_never_misses_a_change(
    tree: Json, segments: Segments, before: list[Event], at: datetime, floor: int | None
) -> None:
    """All moments at which anything may change, one after another; none is named twice."""
    rule = TREE.validate_python(tree)
    known = begun(rule, segments, floor)
    for earlier in before:
        known = after(known, earlier)
    never_missed(rule, segments, known, at)


def never_missed(rule: AnyRule, segments: Segments, known: ContactSnapshot, at: datetime) -> None:
    judge = compile_rule(rule, CUSTOM, CompiledSegments(segments, CUSTOM))
    first, *moments = sorted({at} | turning_points(rule, segments, known))
    verdict = judge(known, first)
    for moment in moments:
        if verdict.until is None or moment < verdict.until:
            assert judge(known, moment).outcome is verdict.outcome
        else:
            verdict = judge(known, moment)
            assert verdict.until is None or verdict.until > moment


@pytest.mark.parametrize("direction", ["ago", "from_now"])
@pytest.mark.parametrize(
    "operator",
    [
        "equals",
        "not_equals",
        "greater_than",
        "greater_than_or_equal",
        "less_than",
        "less_than_or_equal",
    ],
)
def test_each_comparison_with_a_moving_date_says_when_it_changes(
    operator: str, direction: str
) -> None:
    operand = {"relative": {"amount": 1, "unit": "hours", "direction": direction}}
    rule = TREE.validate_python(field("lastActivityAt", operator, operand))
    known = after(begun(rule, {}), (ACTIVE, None, None))
    for at in turning_points(rule, {}, known):
        never_missed(rule, {}, known, at)


@given(EVENTS)
def test_an_event_has_few_keys(event: Event) -> None:
    change, _, did = event
    fields = len(change.fields) + len(change.custom_fields)
    assert len(keys_of(*event)) <= fields + 4 + len(set(did.facts() if did else ()))


def test_r16_keys_are_the_same_in_every_process_of_a_version() -> None:
    """They are in the database: if one of these changes, KEYING must be raised with it."""
    change = ContactChange(
        NOW, creates=True, fields={"city": "Rome"}, custom_fields={"plan": "x"}, joined=LISTS[0]
    )
    assert KEYING == 2
    assert sorted(keys_of(change, Engaged("hello", "opened"))) == [
        -7779374526841692694,
        -5625004161211570960,
        -3267371071397048855,
        -2450368688580940808,
        2060149376417703693,
        8534994586106609535,
    ]
