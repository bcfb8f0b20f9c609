"""Fires when a field of a contact really changes, to a value that passes a test."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from libs.domain.calendar import read_instant
from libs.domain.contact import STANDARD_FIELDS, ContactSnapshot, FieldSource, FieldType, source_of
from libs.domain.contact_changes import ContactChange, same_value
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.predicates import compare
from libs.domain.rules import NO_OPERAND, OPERATORS, FieldOperator, Operand, RelativeDate
from libs.domain.trigger import EventTest, IndexKey, Trigger, TriggerEvent, comparable

_BOOLEANS = {"is_true": True, "is_false": False}
_ORDERED = ("greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal")
_EVENT = "contact.updated"


@dataclass(frozen=True, slots=True)
class NewValue(EventTest):
    """Whether the new value of a field passes an operator of rules.

    Relative dates count from when the event happened, whenever it is matched.
    """

    where: str
    field: str
    kind: FieldType
    operator: str
    operand: Operand

    def holds(self, event: TriggerEvent) -> bool:
        """Judge the value in the event; what cannot be judged does not fire."""
        value = event.data.get(self.where, {}).get(self.field)
        return compare(self.kind, self.operator, value, self.operand, event.at) is True


class ContactUpdatedTrigger(Trigger):
    """The field changed, and its new value passes the operator, if there is one.

    Whether a value really differs from the one before, only the executor knows: publishers may
    repeat what has not changed. Creating a contact does not fire it.

    Attributes:
        field: A standard field by its camelCase key, or a custom one by its api name.
        source: Which of the two it is, where a custom field has the name of a standard one.
        field_type: The type of a custom field; where it is not given, the operand tells.
        operator: One of those that rules have; `changed` takes any new value.
    """

    judges_facts: ClassVar[bool] = True

    type: Literal["contact_updated"]
    field: Annotated[str, Field(max_length=100)] | None = None
    source: FieldSource | None = None
    field_type: FieldType | None = None
    operator: Annotated[
        Literal[FieldOperator, "changed"],
        BeforeValidator(lambda given: "changed" if given is None else given),
    ] = "changed"
    value: Operand = None

    def index_key(self) -> IndexKey | None:
        """File it under its field and, where it asks for one value, under that."""
        if not self.field:
            return None
        path = f"{self._where}.{self.field}"
        if self._asks_for is None:
            return IndexKey(_EVENT, path)
        return IndexKey(_EVENT, path, comparable(self._asks_for))

    def event_test(self) -> EventTest | None:
        """Ask for the operator, where the place in the index does not say it."""
        if not self.field or self.operator == "changed" or self._asks_for is not None:
            return None
        return NewValue(self._where, self.field, self._kind, self.operator, self.value)

    def fires(self, known: ContactSnapshot, change: ContactChange) -> bool:
        """Say whether the value really differs from the one that was known."""
        if not self.field:
            return False
        new = getattr(change, self._where)
        was = getattr(known, self._where).get(self.field)
        return self.field in new and not same_value(was, new[self.field])

    def fields(self) -> Iterable[str]:
        """Name its field."""
        return (self.field,) if self.field else ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know its field or its value yet, or name a field that is not there."""
        if not inventory.knows_field(self.field):
            yield Issue.at("field", code="unknown" if self.field else "missing")
        if self.operator not in {"changed", *NO_OPERAND} and self.value is None:
            yield Issue.at("value")
        kind = inventory.custom_type(self.field) if self._where == "custom_fields" else None
        if kind and self.operator not in {"changed", *OPERATORS[kind]}:
            yield Issue.at("operator", code="not_judgeable")

    @property
    def _where(self) -> str:
        """Where the field stands, in events and in what is known."""
        source = self.source or source_of(self.field or "")
        return "fields" if source == "contact_field" else "custom_fields"

    @property
    def _kind(self) -> FieldType:
        if self._where == "fields":
            return STANDARD_FIELDS.get(self.field or "", FieldType.STRING)
        return self.field_type or _kind_told_by(self.operator, self.value)

    @property
    def _asks_for(self) -> str | bool | None:
        """The one value it asks for, if it asks for one that can be looked up."""
        if self._kind is FieldType.BOOLEAN:
            return _BOOLEANS.get(self.operator)
        if self._kind is FieldType.STRING and self.operator == "equals":
            return self.value if isinstance(self.value, str) and self.value else None
        return None


def _kind_told_by(operator: str, operand: Operand) -> FieldType:
    """Guess a custom field's type from what it is compared with."""
    if operator in _BOOLEANS:
        return FieldType.BOOLEAN
    if isinstance(operand, RelativeDate):
        return FieldType.DATE
    if isinstance(operand, int | float) and not isinstance(operand, bool):
        return FieldType.NUMBER
    if operator in _ORDERED and isinstance(operand, str):
        return FieldType.DATE if read_instant(operand) else FieldType.NUMBER
    return FieldType.STRING
