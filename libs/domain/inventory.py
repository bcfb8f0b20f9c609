"""What exists in a workspace, of the things a flow may name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from libs.domain.contact import CREATED_AT, STANDARD_FIELDS, CustomField, FieldType


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a flow's readiness is judged against.

    Attributes:
        secrets: Whether this installation can look up what is kept under a secret's name.
        templates: Those of pages.
        page_generator: Whether this installation can make pages of prompts.
    """

    emails: Mapping[UUID, Literal["draft", "approved"]] = field(default_factory=dict)
    lists: frozenset[UUID] = frozenset()
    custom_fields: Mapping[UUID, CustomField] = field(default_factory=dict)
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
        custom = {field.api_name for field in self.custom_fields.values()}
        return name in STANDARD_FIELDS or name in custom
