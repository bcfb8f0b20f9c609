"""A rule tree compiled once into a function of a contact snapshot: true, false or cannot be judged.

The verdict keeps what was looked at and what was seen there, so that every decision can be
explained afterwards. Logic is three-valued (Kleene): a part that cannot be judged decides nothing
by itself, and only makes the whole unjudgeable where the other parts do not settle it.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.domain.activity import (
    ActivityKind,
    ActivityNeed,
    Counted,
    PastActivity,
    UnreadActivity,
    changes,
    counted,
)
from libs.domain.calendar import duration, earlier, is_bare_date, read_instant, start_of_day
from libs.domain.contact import STANDARD_FIELDS, ContactSnapshot, CustomField, FieldType, Scalar
from libs.domain.rules import (
    OPERATORS,
    Activity,
    AnyRule,
    ContactField,
    CustomFieldCondition,
    EmailStep,
    Group,
    ListMembership,
    Operand,
    RelativeDate,
    Segments,
    nodes_of,
)

CustomFields = Mapping[UUID, CustomField]


@dataclass(frozen=True, slots=True)
class Seen:
    """One condition that was judged: what it asked, what it saw, how it came out."""

    asked: str
    saw: Scalar
    outcome: bool | None


_SHOWN_CHARACTERS = 200
"""What is kept of a value: enough to explain a decision by, whatever the value's length."""


def _shown(value: Scalar) -> Scalar:
    """Cut what was seen: a record that tells of it must fit its topic."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return value[:_SHOWN_CHARACTERS] + "…"
    return value


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a rule and everything that was looked at.

    Attributes:
        outcome: None if it cannot be judged.
        seen: What was looked at.
        until: The next instant at which time alone could change the outcome; None if it cannot.
    """

    outcome: bool | None
    seen: tuple[Seen, ...] = ()
    until: datetime | None = None


def explain(verdict: Verdict) -> dict[str, Any]:
    """Write down what was looked at, for the timeline."""
    return {
        "judged": [
            {"asked": seen.asked, "saw": seen.saw, "outcome": seen.outcome} for seen in verdict.seen
        ]
    }


Predicate = Callable[[ContactSnapshot, datetime], Verdict]
"""A compiled rule: a snapshot and the time give a verdict."""

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": operator.eq,
    "greater_than": operator.gt,
    "greater_than_or_equal": operator.ge,
    "less_than": operator.lt,
    "less_than_or_equal": operator.le,
}
_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "equals": operator.eq,
    "contains": operator.contains,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
_OPPOSITE = {"not_equals": "equals", "not_contains": "contains"}


class CompiledSegments:
    """Dynamic lists that rules ask about. In one judgement each is judged once at most.

    Judging the same list again for each place that asks about it could take for ever: twenty lists
    that each ask twice about the next one would be a million judgements. So what was found is kept
    until the judgement ends. Judgements do not overlap: judging waits for nothing.
    """

    def __init__(self, rules: Segments, custom_fields: CustomFields) -> None:
        self._rules = rules
        self._predicates = {
            list_id: None if rule is None else _compiled(rule, custom_fields, self)
            for list_id, rule in rules.items()
        }
        self._found: dict[UUID, Verdict] = {}

    def __contains__(self, list_id: UUID) -> bool:
        return list_id in self._rules

    def verdict(self, list_id: UUID, snapshot: ContactSnapshot, now: datetime) -> Verdict:
        """Judge a list, or give its outcome if it was judged in this judgement already."""
        if list_id not in self._found:
            self._found[list_id] = Verdict(None)  # what rests on itself cannot be judged
            predicate = self._predicates[list_id]
            verdict = predicate(snapshot, now) if predicate else Verdict(None)
            self._found[list_id] = replace(verdict, seen=())
            return verdict
        return self._found[list_id]

    def judgement(self, predicate: Predicate) -> Predicate:
        """Make a predicate forget what it found of lists when it is through."""

        def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:
            try:
                return predicate(snapshot, now)
            finally:
                self._found.clear()

        return judge


NO_SEGMENTS = CompiledSegments({}, {})


def compile_rule(
    rule: AnyRule, custom_fields: CustomFields, segments: CompiledSegments = NO_SEGMENTS
) -> Predicate:
    """Compile a tree.

    Args:
        rule: The tree's root.
        custom_fields: The definitions that `custom_field` conditions may name, by id. A condition
            that names another one cannot be judged.
        segments: The dynamic lists that `list_membership` conditions may name: these are judged by
            their rules, any other list by whether the contact was put on it.
    """
    predicate = _compiled(rule, custom_fields, segments)
    asked = (node.list_id for node, _ in nodes_of(rule) if isinstance(node, ListMembership))
    return segments.judgement(predicate) if any(one in segments for one in asked) else predicate


def _compiled(rule: AnyRule, custom_fields: CustomFields, segments: CompiledSegments) -> Predicate:
    match rule:
        case Group():
            return _group(rule, custom_fields, segments)
        case ContactField():
            return _contact_field(rule)
        case CustomFieldCondition():
            return _custom_field(rule, custom_fields.get(rule.field_definition_id))
        case ListMembership():
            return _list_membership(rule, segments)
        case EmailStep():
            return _email_step(rule)
        case Activity():
            return _activity(rule)


def _group(rule: Group, custom_fields: CustomFields, segments: CompiledSegments) -> Predicate:
    children = [_compiled(child, custom_fields, segments) for child in rule.conditions]
    settles = rule.operator == "or"

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:
        seen: tuple[Seen, ...] = ()
        outcome: bool | None = not settles
        until: datetime | None = None
        for child in children:
            verdict = child(snapshot, now)
            seen += verdict.seen
            if verdict.outcome is settles:
                return Verdict(settles, seen, verdict.until)
            if verdict.outcome is None:
                outcome = None
            until = earlier(until, verdict.until)
        return Verdict(outcome, seen, until)

    return judge


def _contact_field(rule: ContactField) -> Predicate:
    kind, operand = STANDARD_FIELDS[rule.field], rule.value
    asked = _asked(f"contact.{rule.field}", rule.operator, operand)

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:
        value = snapshot.fields.get(rule.field)
        outcome = compare(kind, rule.operator, value, operand, now)
        until = holds_until(kind, rule.operator, value, operand, now)
        return Verdict(outcome, (Seen(asked, _shown(value), outcome),), until)

    return judge


def _custom_field(rule: CustomFieldCondition, definition: CustomField | None) -> Predicate:
    name = definition.api_name if definition else str(rule.field_definition_id)
    asked = _asked(f"contact.{name}", rule.operator, rule.value)

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:
        value = snapshot.custom_fields.get(name)
        if definition is None:
            return Verdict(None, (Seen(asked, _shown(value), None),))
        kind, operand = definition.type, rule.value
        outcome = compare(kind, rule.operator, value, operand, now)
        until = holds_until(kind, rule.operator, value, operand, now)
        return Verdict(outcome, (Seen(asked, _shown(value), outcome),), until)

    return judge


def _list_membership(rule: ListMembership, segments: CompiledSegments) -> Predicate:
    if rule.list_id in segments:
        return _segment_membership(rule, segments)
    asked = f"list {rule.list_id} {rule.operator}"
    wanted = rule.operator == "is_member"

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:  # noqa: ARG001  (every predicate takes the time)
        member = rule.list_id in snapshot.lists
        return Verdict(member is wanted, (Seen(asked, member, member is wanted),))

    return judge


def _segment_membership(rule: ListMembership, segments: CompiledSegments) -> Predicate:
    asked = f"list {rule.list_id} {rule.operator}"
    wanted = rule.operator == "is_member"

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:
        found = segments.verdict(rule.list_id, snapshot, now)
        outcome = None if found.outcome is None else found.outcome is wanted
        return Verdict(outcome, (Seen(asked, found.outcome, outcome), *found.seen), found.until)

    return judge


def _email_step(rule: EmailStep) -> Predicate:
    asked = f"{rule.step_id} {rule.metric} {rule.operator}"
    wanted = rule.operator == "has_activity"

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:  # noqa: ARG001  (every predicate takes the time)
        happened = rule.metric in snapshot.engagement.get(rule.step_id, {})
        return Verdict(happened is wanted, (Seen(asked, happened, happened is wanted),))

    return judge


def kind_of(rule: Activity) -> ActivityKind:
    """Say what a rule counts."""
    return ActivityKind(rule.metric, rule.email_id, rule.form_id, rule.tent_id)


def need_of(rule: Activity) -> ActivityNeed:
    """Say how much must be read for a rule: one more than it compares with settles it."""
    return ActivityNeed(_window(rule), (rule.count.value if rule.count else 1) + 1)


def _window(rule: Activity) -> timedelta | None:
    within = rule.within
    return None if within is None else duration(within.amount, within.unit)


def _activity(rule: Activity) -> Predicate:
    kind, window, enough, asked = kind_of(rule), _window(rule), need_of(rule).at_most, _told(rule)
    passes = _count_test(rule)

    def outcome_of(found: Counted) -> bool | None:
        """Judge a count; where there may be more, only if more would change nothing."""
        least = min(found.number, enough)
        outcome = passes(least)
        more = range(least + 1, enough + 1) if found.is_floor else ()
        return outcome if all(passes(number) is outcome for number in more) else None

    def judge(snapshot: ContactSnapshot, now: datetime) -> Verdict:
        past = _read_of(snapshot, kind)
        found = counted(past, window, now)
        outcome, until = outcome_of(found), None
        if window is not None:
            until = next(
                (at for at, then in changes(past, window, now) if outcome_of(then) is not outcome),
                None,
            )
        saw = found.number if found.number < enough else f"{found.number} or more"
        return Verdict(outcome, (Seen(asked, saw, outcome),), until)

    return judge


def _read_of(snapshot: ContactSnapshot, kind: ActivityKind) -> PastActivity:
    past = None if snapshot.activity is None else snapshot.activity.get(kind)
    if past is None:
        raise UnreadActivity(f"{kind.metric} of contact {snapshot.contact_id}")
    return past


def _count_test(rule: Activity) -> Callable[[int], bool]:
    wanted = rule.operator == "has_activity"
    if rule.count is None:
        return lambda number: (number > 0) is wanted
    name, value = rule.count.operator, rule.count.value
    test, positive = _COMPARE[_OPPOSITE.get(name, name)], name not in _OPPOSITE
    return lambda number: (test(number, value) is positive) is wanted


def _told(rule: Activity) -> str:
    count = f" {rule.count.operator} {rule.count.value}" if rule.count else ""
    within = f" within {rule.within.amount} {rule.within.unit}" if rule.within else ""
    return f"{rule.metric} {rule.operator}{count}{within}"


def _asked(what: str, name: str, operand: Operand) -> str:
    shown = operand.relative.model_dump() if isinstance(operand, RelativeDate) else operand
    return f"{what} {name}" if shown is None else f"{what} {name} {_shown(repr(shown))}"


def compare(
    kind: FieldType, name: str, value: Scalar, operand: Operand, now: datetime
) -> bool | None:
    """Apply one operator. None if the value or the operand does not fit the field's type.

    An absent value and empty text are empty: true for is_empty, not_equals and not_contains,
    false for everything else. Text compares without regard to case.
    """
    if name not in OPERATORS[kind]:
        return None
    empty = value is None or value == ""
    if name in ("is_empty", "is_not_empty"):
        return empty is (name == "is_empty")
    if empty:
        return name in _OPPOSITE
    if name in _OPPOSITE:
        outcome = compare(kind, _OPPOSITE[name], value, operand, now)
        return None if outcome is None else not outcome
    return _compare_filled(kind, name, value, operand, now)


def fits(kind: FieldType, operand: Operand) -> bool:
    """Say whether a field of this type can be compared with the operand at all."""
    match kind:
        case FieldType.NUMBER:
            return _number(operand) is not None
        case FieldType.DATE:
            is_date = isinstance(operand, str) and read_instant(operand) is not None
            return is_date or isinstance(operand, RelativeDate)
        case _:
            return not isinstance(operand, RelativeDate)


def _compare_filled(
    kind: FieldType, name: str, value: Scalar, operand: Operand, now: datetime
) -> bool | None:
    match kind:
        case FieldType.STRING:
            return _TEXT[name](str(value).casefold(), str(operand).casefold())
        case FieldType.BOOLEAN:
            return value is (name == "is_true") if isinstance(value, bool) else None
        case FieldType.NUMBER:
            left, right = _number(value), _number(operand)
            return None if left is None or right is None else _COMPARE[name](left, right)
        case FieldType.DATE:
            return _compare_dates(name, value, operand, now)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _compare_dates(name: str, value: Scalar, operand: Operand, now: datetime) -> bool | None:
    left = read_instant(str(value))
    if isinstance(operand, RelativeDate):
        right: datetime | None = _relative(operand, now)
    else:
        right = read_instant(str(operand))
    if left is None or right is None:
        return None
    # A bare date on the right means whole days (UTC).
    if isinstance(operand, str) and is_bare_date(operand):
        left = start_of_day(left)
    return _COMPARE[name](left, right)


_A_MOMENT = timedelta(microseconds=1)
_CHANGES_AT: Mapping[str, tuple[timedelta, ...]] = {
    "equals": (timedelta(0), _A_MOMENT),
    "not_equals": (timedelta(0), _A_MOMENT),
    "greater_than": (timedelta(0),),
    "less_than_or_equal": (timedelta(0),),
    "greater_than_or_equal": (_A_MOMENT,),
    "less_than": (_A_MOMENT,),
}
"""How long after a moving date has reached a standing one a comparison of them changes."""


def holds_until(
    kind: FieldType, name: str, value: Scalar, operand: Operand, now: datetime
) -> datetime | None:
    """Say when the outcome of `compare` changes if nothing but time passes; None if it does not."""
    if kind is not FieldType.DATE or not isinstance(operand, RelativeDate):
        return None
    left = read_instant(str(value))
    if left is None or name not in _CHANGES_AT:
        return None
    distance: timedelta = duration(operand.relative.amount, operand.relative.unit)
    try:
        meets = left + distance if operand.relative.direction == "ago" else left - distance
        changes = [meets + after for after in _CHANGES_AT[name]]
    except OverflowError:
        return None
    return min((change for change in changes if change > now), default=None)


def _relative(operand: RelativeDate, now: datetime) -> datetime:
    distance: timedelta = duration(operand.relative.amount, operand.relative.unit)
    return now - distance if operand.relative.direction == "ago" else now + distance
