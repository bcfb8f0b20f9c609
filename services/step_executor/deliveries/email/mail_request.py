"""What a mail to one contact is made from, beside the mail itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from libs.domain.contact import Scalar


@dataclass(frozen=True, slots=True)
class MailRequest:
    """Who gets a mail, and on what occasion.

    Attributes:
        hop: With the membership it makes the Message-ID: the same at every attempt.
        operational: True for mail that needs no consent, and so no way to unsubscribe.
        fields: The contact's standard fields; `email` is where the mail goes.
        custom_fields: The contact's custom fields by api name.
        dynamic_context: The values of this run.
    """

    workspace_id: UUID
    contact_id: UUID
    membership_id: UUID
    hop: int
    step_id: str
    fields: Mapping[str, Scalar]
    custom_fields: Mapping[str, Scalar] = field(default_factory=dict)
    dynamic_context: Mapping[str, Scalar] = field(default_factory=dict)
    operational: bool = False
