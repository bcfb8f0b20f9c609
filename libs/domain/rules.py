"""Rule trees: groups and conditions, exactly as the API takes them.

A tree has a `group` or a single `condition` at its root; groups nest up to five levels
and a tree holds at most a hundred nodes. Keys are camelCase, because a stored tree must come back
as it was sent. Short operator names are accepted and mean the long ones.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
)

from libs.domain.contact import STANDARD_FIELDS, EmailMetric, FieldType, Scalar

MAX_DEPTH = 5
MAX_NODES = 100

_ALIASES: Mapping[object, str] = {
    "eq": "equals",
    "is": "equals",
    "neq": "not_equals",
    "ne": "not_equals",
    "is_not": "not_equals",
    "gt": "greater_than",
    "after": "greater_than",
    "gte": "greater_than_or_equal",
    "lt": "less_than",
    "before": "less_than",
    "lte": "less_than_or_equal",
    "member_of": "is_member",
    "in_list": "is_member",
    "not_member_of": "is_not_member",
    "not_in_list": "is_not_member",
    "occurred": "has_activity",
    "not_occurred": "has_no_activity",
}

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


def _long_name(operator: object) -> object:
    return _ALIASES.get(operator, operator) if isinstance(operator, str) else operator


AnyFieldOperator = Annotated[FieldOperator, BeforeValidator(_long_name)]
"""An operator, by its long or its short name."""


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


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
    operator: Annotated[FieldOperator, BeforeValidator(_long_name)]
    value: Operand = None


def _check_operand(condition: _FieldCondition) -> None:
    if condition.operator not in NO_OPERAND and condition.value is None:
        raise ValueError(f"value: operator {condition.operator} needs a value")


def _check_contact_field(condition: "ContactField") -> "ContactField":
    kind = STANDARD_FIELDS.get(condition.field)
    if kind is None:
        raise ValueError(f"field: {condition.field} is not a standard contact field")
    if condition.operator not in OPERATORS[kind]:
        raise ValueError(f"operator: {condition.operator} does not apply to a {kind} field")
    _check_operand(condition)
    return condition


class ContactField(_FieldCondition):
    """Looks at a standard field, by its camelCase key."""

    source: Literal["contact_field"]
    field: str


class CustomFieldCondition(_FieldCondition):
    """Looks at a custom field, by the id of its definition."""

    source: Literal["custom_field"]
    field_definition_id: UUID = Field(alias="fieldDefinitionId")


class ListMembership(_Node):
    """Asks whether the contact is on a list."""

    kind: Literal["condition"]
    source: Literal["list_membership"]
    list_id: UUID = Field(alias="listId")
    operator: Annotated[Literal["is_member", "is_not_member"], BeforeValidator(_long_name)]


class EmailStep(_Node):
    """Asks what became of a mail sent earlier in the same run (legal inside flows only)."""

    kind: Literal["condition"]
    source: Literal["email_step"]
    node_id: str = Field(alias="nodeId", min_length=1, max_length=120)
    metric: EmailMetric
    operator: Annotated[Literal["has_activity", "has_no_activity"], BeforeValidator(_long_name)]


def _check_needed(condition: CustomFieldCondition) -> CustomFieldCondition:
    _check_operand(condition)
    return condition


class Group(_Node):
    """Several rules at once: all must hold (`and`) or one is enough (`or`)."""

    kind: Literal["group"]
    operator: Literal["and", "or"] = "and"
    conditions: list["Rule"] = Field(min_length=1)


def _which(node: object) -> str | None:
    """Tell a node apart: a group by its kind, a condition by its source."""
    read = node.get if isinstance(node, Mapping) else partial(getattr, node)
    name = read("source" if read("kind", None) == "condition" else "kind", None)
    return name if isinstance(name, str) else None


Rule = Annotated[
    Annotated[Group, Tag("group")]
    | Annotated[ContactField, AfterValidator(_check_contact_field), Tag("contact_field")]
    | Annotated[CustomFieldCondition, AfterValidator(_check_needed), Tag("custom_field")]
    | Annotated[ListMembership, Tag("list_membership")]
    | Annotated[EmailStep, Tag("email_step")],
    Discriminator(_which),
]
AnyRule = Group | ContactField | CustomFieldCondition | ListMembership | EmailStep


def nodes_of(rule: AnyRule, depth: int = 1) -> Iterator[tuple[AnyRule, int]]:
    """Walk a tree from its root, each node with its depth (the root is at 1)."""
    yield rule, depth
    if isinstance(rule, Group):
        for child in rule.conditions:
            yield from nodes_of(child, depth + 1)


def _check_size(rule: AnyRule) -> AnyRule:
    nodes = list(nodes_of(rule))
    if len(nodes) > MAX_NODES:
        raise ValueError(f"a rule tree holds at most {MAX_NODES} groups and conditions")
    if any(depth > MAX_DEPTH and isinstance(node, Group) for node, depth in nodes):
        raise ValueError(f"groups nest at most {MAX_DEPTH} levels deep")
    return rule


def _refuse_email_step(rule: AnyRule) -> AnyRule:
    if any(isinstance(node, EmailStep) for node, _ in nodes_of(rule)):
        raise ValueError("email_step conditions are not allowed here")
    return rule


RuleTree = Annotated[Rule, AfterValidator(_check_size)]
"""A whole tree, as a step of a flow takes it."""

AudienceRules = Annotated[Rule, AfterValidator(_check_size), AfterValidator(_refuse_email_step)]
"""A whole tree that is judged outside a run: no email_step."""

__all__ = [
    "NO_OPERAND",
    "OPERATORS",
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
    "nodes_of",
]
