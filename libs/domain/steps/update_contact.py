"""Change fields of the contact, and go on at once."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.contact import ContactSnapshot, FieldSource, Scalar, source_of
from libs.domain.contact_changes import same_value
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, StepContext, StepResult

MAX_OPERATIONS = 50
MAX_VALUE_CHARACTERS = 3000
"""With so many of this length, the command, and what the timeline says of it, fit their topics."""


class FieldOperation(BaseModel):
    """What is to become of one field.

    Attributes:
        op: `set` writes the value, `set_if_empty` only where there is none, `clear` empties.
        field: A standard field by its camelCase key, or a custom one by its api name.
        source: Which of the two it is, where a custom field has the name of a standard one.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    op: Literal["set", "set_if_empty", "clear"] = "set"
    field: Annotated[str, Field(min_length=1, max_length=100)]
    source: FieldSource | None = None
    value: Annotated[str, Field(max_length=MAX_VALUE_CHARACTERS)] | bool | int | float | None = None

    @property
    def is_custom(self) -> bool:
        """Whether it changes a custom field."""
        return (self.source or source_of(self.field)) == "custom_field"

    @property
    def new_value(self) -> Scalar:
        """The value it writes."""
        return None if self.op == "clear" else self.value


class UpdateContactStep(LinearStep):
    """Asks the contact's owner for these changes, in one command."""

    type: Literal["update_contact"]
    operations: Annotated[list[FieldOperation], Field(max_length=MAX_OPERATIONS)] = []

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know yet what to change, or name a field that is not there."""
        if not self.operations:
            yield Issue.at("operations")
        for index, one in enumerate(self.operations):
            if not inventory.knows_field(one.field):
                yield Issue.at("operations", index, "field", code="unknown")

    def on_enter(self, context: StepContext) -> StepResult:
        """Tell the owner what to change; say which fields were filled and so left alone."""
        fields: dict[str, Scalar] = {}
        custom_fields: dict[str, Scalar] = {}
        skipped: list[str] = []
        for one in self.operations:
            changed = custom_fields if one.is_custom else fields
            if one.op == "set_if_empty" and not _is_empty(context.contact, one, changed):
                skipped.append(one.field)
            else:
                changed[one.field] = one.new_value
        details: dict[str, Any] = {"skipped": skipped} if skipped else {}
        if not (fields or custom_fields):
            return Continue(outcome="skipped", details=details)
        effect = context.tell_owner(fields=fields, custom_fields=custom_fields)
        told = {"updated": [*fields, *custom_fields], **details}
        return Continue(outcome="updated", details=told, effects=(effect,))


def _is_empty(contact: ContactSnapshot, one: FieldOperation, changed: dict[str, Scalar]) -> bool:
    """Say whether a field is empty, also by what operations before this one make of it."""
    known = contact.custom_fields if one.is_custom else contact.fields
    return same_value(changed.get(one.field, known.get(one.field)), None)
