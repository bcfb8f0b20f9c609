"""Rule trees as the native API takes them (README.md, "Rules").

Keys are camelCase, short operator names mean the long ones, and trees are smaller than the
engine's. Read by alias and written by name, such a tree is one of the engine's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from libs.domain import rules
from libs.domain.activity import EMAIL_METRICS, FORM_SUBMITTED
from libs.domain.contact import STANDARD_FIELDS, EmailMetric, FieldType
from libs.domain.predicates import fits
from libs.domain.rules import AnyRule, CountOperator, FieldOperator, Operand

MAX_DEPTH = 5
MAX_NODES = 100

_LONG_NAMES: Mapping[object, str] = {
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


_METRICS: Mapping[object, str] = {
    metric.replace(".", "_"): metric for metric in (FORM_SUBMITTED, *sorted(EMAIL_METRICS))
}
"""Activities that are events of forms and mails; any other type is the name of a recorded one."""


def metric_of(activity_type: object) -> object:
    """Give the engine's name of what a contact did."""
    return _METRICS.get(activity_type, activity_type) if isinstance(activity_type, str) else None


def long_name(operator: object) -> object:
    """Give the engine's name of an operator."""
    return _LONG_NAMES.get(operator, operator) if isinstance(operator, str) else operator


_LongName = BeforeValidator(long_name)


def check_operand(kind: FieldType, operand: Operand) -> None:
    """See that a value is of the type of the field it is compared with.

    Raises:
        ValueError: If it is not.
    """
    if operand is not None and not fits(kind, operand):
        raise ValueError(f"value: this is no value to compare a {kind} field with")


class ActivityCount(rules.ActivityCount):
    """How often it must have happened: compared with a number."""

    operator: Annotated[CountOperator, _LongName]


class ContactField(rules.ContactField):
    """Looks at a standard field, by its camelCase key."""

    operator: Annotated[FieldOperator, _LongName]


def _check_contact_field(condition: ContactField) -> ContactField:
    rules.check_contact_field(condition)
    if condition.operator not in rules.NO_OPERAND:
        check_operand(STANDARD_FIELDS[condition.field], condition.value)
    return condition


class CustomFieldCondition(rules.CustomFieldCondition):
    """Looks at a custom field, by the id of its definition."""

    operator: Annotated[FieldOperator, _LongName]
    field_definition_id: UUID = Field(alias="fieldDefinitionId")


class ListMembership(rules.ListMembership):
    """Asks whether the contact is on a list."""

    list_id: UUID = Field(alias="listId")
    operator: Annotated[Literal["is_member", "is_not_member"], _LongName]


class EmailStep(rules.EmailStep):
    """Asks what became of a mail sent earlier in the same run."""

    step_id: str = Field(alias="nodeId", min_length=1, max_length=120)
    metric: EmailMetric
    operator: Annotated[Literal["has_activity", "has_no_activity"], _LongName]


class Activity(rules.Activity):
    """Asks how often the contact did something: at least once, unless `count` says otherwise.

    `activityType` is `form_submitted`, `email_opened` and the like, or the name under which an
    activity was recorded.
    """

    metric: Annotated[str, BeforeValidator(metric_of)] = Field(
        alias="activityType", min_length=1, max_length=200
    )
    operator: Annotated[Literal["has_activity", "has_no_activity"], _LongName]
    count: ActivityCount | None = None
    email_id: UUID | None = Field(default=None, alias="emailId")
    form_id: str | None = Field(default=None, alias="formId", min_length=1, max_length=255)
    tent_id: UUID | None = Field(default=None, alias="tentId")


class Group(rules.Group):
    """Several rules at once: all must hold (`and`) or one is enough (`or`)."""

    conditions: list["Rule"] = Field(min_length=1)  # type: ignore[assignment]


Rule = Annotated[
    Annotated[Group, Tag("group")]
    | Annotated[ContactField, AfterValidator(_check_contact_field), Tag("contact_field")]
    | Annotated[CustomFieldCondition, AfterValidator(rules.check_custom_field), Tag("custom_field")]
    | Annotated[ListMembership, Tag("list_membership")]
    | Annotated[EmailStep, Tag("email_step")]
    | Annotated[Activity, Tag("activity")],
    Discriminator(rules.which_node),
]


def _check_size(rule: AnyRule) -> AnyRule:
    return rules.check_size(rule, MAX_NODES, MAX_DEPTH)


RuleTree = Annotated[Rule, AfterValidator(_check_size)]
"""A whole tree, as a step of a flow takes it."""

AudienceRules = Annotated[
    Rule, AfterValidator(_check_size), AfterValidator(rules.refuse_email_step)
]
"""A whole tree that is judged outside a run: no email_step."""


def compiled(rule: AnyRule) -> dict[str, Any]:
    """Write a tree in the engine's language."""
    return rule.model_dump(mode="json", exclude_unset=True)
