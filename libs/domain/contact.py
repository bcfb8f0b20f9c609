"""A contact and what is known of it, as a snapshot that rules are judged on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from libs.domain.activity import ActivityKind, PastActivity

Scalar = str | int | float | bool | None
"""What a contact's field may hold. Dates travel as ISO 8601 text."""

CREATED_AT = "createdAt"
"""The one standard field that holds a date flows may go by; the others are custom fields."""

EmailMetric = Literal["sent", "delivered", "opened", "clicked", "bounced", "unsubscribed"]
"""What can be known about one mail of a run."""


class FieldType(StrEnum):
    """The four types of the rule engine."""

    STRING = "string"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"


_TEXT = (
    "email phone firstName lastName displayName company jobTitle address address2 city state "
    "country zipCode emailDomain originalSource originalSourceDetail leadStatus lifecycleStage"
)
_FLAGS = (
    "unsubscribed marketingEmailSubscribed marketingSmsSubscribed "
    "marketingEmailInvalid marketingSmsInvalid"
)
STANDARD_FIELDS: Mapping[str, FieldType] = MappingProxyType(
    dict.fromkeys(_TEXT.split(), FieldType.STRING)
    | dict.fromkeys(_FLAGS.split(), FieldType.BOOLEAN)
    | dict.fromkeys(("lastActivityAt", "createdAt", "updatedAt"), FieldType.DATE)
    | {"tentedScore": FieldType.NUMBER}
)
"""Every standard field by its camelCase key, with its type."""


FieldSource = Literal["contact_field", "custom_field"]
"""Whether a field is a standard one, by its camelCase key, or a custom one, by its api name."""


def source_of(field: str) -> FieldSource:
    """Say what a field is where only its name is given: a standard one comes first."""
    return "contact_field" if field in STANDARD_FIELDS else "custom_field"


class CustomField(BaseModel):
    """A custom field's definition, as a flow carries it: rules name the id, events the api name."""

    model_config = ConfigDict(frozen=True)

    api_name: str
    type: FieldType


SINCE = ""
"""Among the times of facts: when the first of what is known of a contact was said."""


def field_key(name: str) -> str:
    """Name a standard field among the facts that rules look at and events change."""
    return f"field:{name}"


def custom_field_key(name: str) -> str:
    """Name a custom field, by its api name."""
    return f"custom:{name}"


def list_key(list_id: UUID) -> str:
    """Name a list that the contact may be on."""
    return f"list:{list_id}"


def email_key(step_id: str, metric: EmailMetric) -> str:
    """Name what may become of the mail of a step."""
    return f"email.{metric}:{step_id}"


Engagement = Mapping[str, Mapping[str, datetime]]
"""For each send_email step of one run: which metrics were seen, and when first."""


@dataclass(frozen=True, slots=True)
class ContactSnapshot:
    """All that a rule may look at: one contact, and its run where there is one.

    Attributes:
        contact_id: Whose snapshot these are.
        fields: Standard fields by camelCase key.
        custom_fields: Custom fields by api name.
        lists: The static lists the contact is on.
        engagement: What became of the mails of the current run, by step id.
        deleted: Whether the contact is gone; nothing else is known of it then.
        activity: What was read of what the contact did; None if nothing was.
        times: When what is known was said, by fact, in microseconds since 1970. A fact that is not
            named here was said when the first of them was. No part of what is known itself: two
            snapshots that differ only here are equal.
    """

    contact_id: UUID
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    custom_fields: Mapping[str, Scalar] = field(default_factory=dict)
    lists: frozenset[UUID] = frozenset()
    engagement: Engagement = field(default_factory=dict)
    deleted: bool = False
    times: Mapping[str, int] = field(default_factory=dict, compare=False)
    activity: Mapping[ActivityKind, PastActivity] | None = None


def may_be_mailed(fields: Mapping[str, Scalar], *, operational: bool) -> str | None:
    """Say why a contact must not get a mail, or None if it may.

    Marketing mail respects the subscription fields (an absent `marketingEmailSubscribed` passes).
    Operational mail ignores them, but nothing is ever sent to an address known to be invalid.
    """
    if not fields.get("email"):
        return "no_address"
    if fields.get("marketingEmailInvalid"):
        return "address_invalid"
    if operational:
        return None
    if fields.get("unsubscribed") or fields.get("marketingEmailSubscribed") is False:
        return "unsubscribed"
    return None
