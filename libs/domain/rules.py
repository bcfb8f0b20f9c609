"""Rule trees: groups and conditions.

A tree has a `group` or a single `condition` at its root. Dialects have their own spellings and
limits; this is the form they are compiled to.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from libs.domain.activity import EMAIL_METRICS, FORM_SUBMITTED
from libs.domain.calendar import MAX_WAIT, duration
from libs.domain.contact import STANDARD_FIELDS, EmailMetric, FieldType, Scalar

MAX_DEPTH = 20
MAX_NODES = 1000
"""How many groups and conditions a tree holds at most, and so do all the lists a flow inlines."""

FieldOperator = Literal[
    "equals",
    "not_equals",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "greater_than",
    "greater_than_or_equal",
    "less_than",
    "less_than_or_equal",
    "is_true",
    "is_false",
    "is_empty",
    "is_not_empty",
]
NO_OPERAND = frozenset({"is_true", "is_false", "is_empty", "is_not_empty"})
_FOR_EVERY_TYPE = frozenset({"is_empty", "is_not_empty"})
_ORDERED = frozenset(
    "equals not_equals greater_than greater_than_or_equal less_than less_than_or_equal".split()
)
OPERATORS: Mapping[FieldType, frozenset[str]] = {
    FieldType.STRING: _FOR_EVERY_TYPE
    | frozenset("equals not_equals contains not_contains starts_with ends_with".split()),
    FieldType.NUMBER: _FOR_EVERY_TYPE | _ORDERED,
    FieldType.DATE: _FOR_EVERY_TYPE | _ORDERED,
    FieldType.BOOLEAN: _FOR_EVERY_TYPE | frozenset({"is_true", "is_false"}),
}
"""Which operators a field of each type takes (services/api/native/README.md, "Rules")."""


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RelativeAmount(_Node):
    """How far from now a relative date lies."""

    amount: int = Field(ge=0, le=36_500)
    unit: Literal["minutes", "hours", "days", "weeks"]
    direction: Literal["ago", "from_now"]


class RelativeDate(_Node):
    """A date operand that moves with the clock: `{"relative": {"amount": 7, ...}}`."""

    relative: RelativeAmount


Operand = Annotated[str, Field(max_length=1000)] | bool | int | float | RelativeDate | None


class _FieldCondition(_Node):
    kind: Literal["condition"]
    operator: FieldOperator
    value: Operand = None


def _check_operand(condition: _FieldCondition) -> None:
    if condition.operator not in NO_OPERAND and condition.value is None:
        raise ValueError(f"value: operator {condition.operator} needs a value")


class ContactField(_FieldCondition):
    """Looks at a standard field, by its camelCase key."""

    source: Literal["contact_field"]
    field: str


class CustomFieldCondition(_FieldCondition):
    """Looks at a custom field, by the id of its definition."""

    source: Literal["custom_field"]
    field_definition_id: UUID


def check_contact_field(condition: ContactField) -> ContactField:
    """See that a field exists, and that its type takes the operator.

    Raises:
        ValueError: If it does not.
    """
    kind = STANDARD_FIELDS.get(condition.field)
    if kind is None:
        raise ValueError(f"field: {condition.field} is not a standard contact field")
    if condition.operator not in OPERATORS[kind]:
        raise ValueError(f"operator: {condition.operator} does not apply to a {kind} field")
    _check_operand(condition)
    return condition


def check_custom_field(condition: CustomFieldCondition) -> CustomFieldCondition:
    """See that an operator that needs a value has one.

    Raises:
        ValueError: If it has none.
    """
    _check_operand(condition)
    return condition


class ListMembership(_Node):
    """Asks whether the contact is on a list."""

    kind: Literal["condition"]
    source: Literal["list_membership"]
    list_id: UUID
    operator: Literal["is_member", "is_not_member"]


class EmailStep(_Node):
    """Asks what became of a mail sent earlier in the same run (legal inside flows only)."""

    kind: Literal["condition"]
    source: Literal["email_step"]
    step_id: str = Field(min_length=1, max_length=120)
    metric: EmailMetric
    operator: Literal["has_activity", "has_no_activity"]


MOST_COUNTED = 1000
"""How far rules count: what is read to judge one has a bound."""


CountOperator = Literal[
    "equals",
    "not_equals",
    "greater_than",
    "greater_than_or_equal",
    "less_than",
    "less_than_or_equal",
]


class ActivityCount(_Node):
    """How often it must have happened: compared with a number."""

    operator: CountOperator
    value: int = Field(ge=0, le=MOST_COUNTED, strict=True)


class ActivityWindow(_Node):
    """How long ago it may have happened, at most 730 days."""

    unit: Literal["minutes", "hours", "days", "weeks"]
    amount: int = Field(ge=1, strict=True)

    @field_validator("amount")
    @classmethod
    def _is_kept_so_long(cls, amount: int, info: ValidationInfo) -> int:
        unit = info.data.get("unit")
        if unit and amount > MAX_WAIT // duration(1, unit):
            raise ValueError(f"a window reaches back at most {MAX_WAIT.days} days")
        return amount


class Activity(_Node):
    """Asks how often the contact did something: at least once, unless `count` says otherwise.

    `metric` is the name under which it was recorded, or the type of an event of a mail or a form,
    as `email.opened` or `form.submitted`; `email_id`, `form_id` and `tent_id` narrow these down.
    """

    kind: Literal["condition"]
    source: Literal["activity"]
    metric: str = Field(min_length=1, max_length=200)
    operator: Literal["has_activity", "has_no_activity"]
    count: ActivityCount | None = None
    within: ActivityWindow | None = None
    email_id: UUID | None = None
    form_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    tent_id: UUID | None = None

    @field_validator("email_id")
    @classmethod
    def _is_about_mails(cls, email_id: UUID | None, info: ValidationInfo) -> UUID | None:
        if email_id is not None and info.data.get("metric") not in EMAIL_METRICS:
            raise ValueError("only what becomes of mails has a mail")
        return email_id

    @field_validator("form_id", "tent_id")
    @classmethod
    def _is_about_forms(cls, named: object, info: ValidationInfo) -> object:
        if named is not None and info.data.get("metric") != FORM_SUBMITTED:
            raise ValueError("only the submission of a form has a form and its page")
        return named


class Group(_Node):
    """Several rules at once: all must hold (`and`) or one is enough (`or`)."""

    kind: Literal["group"]
    operator: Literal["and", "or"] = "and"
    conditions: list["Rule"] = Field(min_length=1)


def which_node(node: object) -> str | None:
    """Tell a node apart: a group by its kind, a condition by its source."""
    read = node.get if isinstance(node, Mapping) else partial(getattr, node)
    name = read("source" if read("kind", None) == "condition" else "kind", None)
    return name if isinstance(name, str) else None


Rule = Annotated[
    Annotated[Group, Tag("group")]
    | Annotated[ContactField, AfterValidator(check_contact_field), Tag("contact_field")]
    | Annotated[CustomFieldCondition, AfterValidator(check_custom_field), Tag("custom_field")]
    | Annotated[ListMembership, Tag("list_membership")]
    | Annotated[EmailStep, Tag("email_step")]
    | Annotated[Activity, Tag("activity")],
    Discriminator(which_node),
]
AnyRule = Group | ContactField | CustomFieldCondition | ListMembership | EmailStep | Activity


def nodes_of(rule: AnyRule, depth: int = 1) -> Iterator[tuple[AnyRule, int]]:
    """Walk a tree from its root, each node with its depth (the root is at 1)."""
    yield rule, depth
    if isinstance(rule, Group):
        for child in rule.conditions:
            yield from nodes_of(child, depth + 1)


Segments = Mapping[UUID, AnyRule | None]
"""The rules of dynamic lists, by the list's id. None where a list is known but cannot be judged."""


def nodes_through(rule: AnyRule, segments: Segments) -> Iterator[AnyRule]:
    """Walk a tree and, to any depth, the rules of the dynamic lists it asks about, each once."""
    todo, met = [rule], set[UUID]()
    while todo:
        for node, _ in nodes_of(todo.pop()):
            yield node
            if isinstance(node, ListMembership) and node.list_id not in met:
                met.add(node.list_id)
                inlined = segments.get(node.list_id)
                todo += [inlined] if inlined is not None else []


def check_size(rule: AnyRule, most_nodes: int = MAX_NODES, deepest: int = MAX_DEPTH) -> AnyRule:
    """See that a tree is not too large.

    Raises:
        ValueError: If it is.
    """
    nodes = list(nodes_of(rule))
    if len(nodes) > most_nodes:
        raise ValueError(f"a rule tree holds at most {most_nodes} groups and conditions")
    if any(depth > deepest and isinstance(node, Group) for node, depth in nodes):
        raise ValueError(f"groups nest at most {deepest} levels deep")
    return rule


def _within_limits(rule: AnyRule) -> AnyRule:
    return check_size(rule)


def refuse_email_step(rule: AnyRule) -> AnyRule:
    """See that a tree asks nothing about a run.

    Raises:
        ValueError: If it does.
    """
    if any(isinstance(node, EmailStep) for node, _ in nodes_of(rule)):
        raise ValueError("email_step conditions are not allowed here")
    return rule


RuleTree = Annotated[Rule, AfterValidator(_within_limits)]
"""A whole tree, as a step of a flow takes it."""

AudienceRules = Annotated[Rule, AfterValidator(_within_limits), AfterValidator(refuse_email_step)]
"""A whole tree that is judged outside a run: no email_step."""

__all__ = [
    "NO_OPERAND",
    "OPERATORS",
    "Activity",
    "AnyRule",
    "AudienceRules",
    "ContactField",
    "CustomFieldCondition",
    "EmailStep",
    "Group",
    "ListMembership",
    "RelativeDate",
    "RuleTree",
    "Scalar",
    "Segments",
    "nodes_of",
    "nodes_through",
]
