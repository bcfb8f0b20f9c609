"""What exists in a workspace, of the things a flow may name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from libs.domain.contact import CREATED_AT, STANDARD_FIELDS, CustomField, FieldType
from libs.domain.merge_tags import tags_in
from libs.domain.rules import Segments


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a flow's readiness is judged against.

    Attributes:
        emails: The mails, and whether they may be sent.
        lists: The static lists: those that contacts are put on and taken off.
        segments: The rules of the dynamic lists that the flow asks about, itself or through others;
            None where they cannot be judged: they are too many to go with it.
        email_tags: Which fields of contacts the merge tags of approved mails name.
        emails_without_text: The mails whose text part was emptied.
        secrets: Whether this installation can look up what is kept under a secret's name.
        templates: Those of pages.
        page_generator: Whether this installation can make pages of prompts.
    """

    emails: Mapping[UUID, Literal["draft", "approved"]] = field(default_factory=dict)
    lists: frozenset[UUID] = frozenset()
    segments: Segments = field(default_factory=dict)
    custom_fields: Mapping[UUID, CustomField] = field(default_factory=dict)
    email_tags: Mapping[UUID, Iterable[str]] = field(default_factory=dict)
    emails_without_text: frozenset[UUID] = frozenset()
    secrets: bool = False
    templates: Mapping[str, Literal["draft", "approved"]] = field(default_factory=dict)
    page_generator: bool = False

    def holds_dates(self, name: str | None) -> bool:
        """Say whether a contact may have a date in this field: `createdAt`, or a custom one."""
        custom = self.custom_fields.values()
        dates = {field.api_name for field in custom if field.type is FieldType.DATE}
        return name in dates | {CREATED_AT}

    def knows_field(self, name: str | None) -> bool:
        """Say whether a contact may have this field: standard, or custom by api name."""
        return name in STANDARD_FIELDS or self.custom_type(name) is not None

    def knows_tags_of(self, text: object) -> bool:
        """Say whether contacts have every field that the merge tags of a text name."""
        if not isinstance(text, str):
            return True
        return all(self.knows_field(key) for scope, key in tags_in(text) if scope == "contact")

    def custom_type(self, name: str | None) -> FieldType | None:
        """Give the type of a custom field, by its api name; None if there is none."""
        custom = self.custom_fields.values()
        return next((field.type for field in custom if field.api_name == name), None)
