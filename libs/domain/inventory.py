"""What exists in a workspace, of the things a flow may name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from libs.domain.contact import CREATED_AT, STANDARD_FIELDS, CustomField, FieldType
from libs.domain.rules import Segments


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a flow's readiness is judged against.

    Attributes:
        lists: The static lists: those that contacts are put on and taken off.
        segments: The rules of the dynamic lists that the flow asks about, itself or through others;
            None where they cannot be judged: they are too many to go with it.
        secrets: Whether this installation can look up what is kept under a secret's name.
    """

    emails: Mapping[UUID, Literal["draft", "approved"]] = field(default_factory=dict)
    lists: frozenset[UUID] = frozenset()
    segments: Segments = field(default_factory=dict)
    custom_fields: Mapping[UUID, CustomField] = field(default_factory=dict)
    secrets: bool = False

    def holds_dates(self, name: str | None) -> bool:
        """Say whether a contact may have a date in this field: `createdAt`, or a custom one."""
        custom = self.custom_fields.values()
        dates = {field.api_name for field in custom if field.type is FieldType.DATE}
        return name in dates | {CREATED_AT}

    def knows_field(self, name: str | None) -> bool:
        """Say whether a contact may have this field: standard, or custom by api name."""
        custom = {field.api_name for field in self.custom_fields.values()}
        return name in STANDARD_FIELDS or name in custom
