"""Triggers as the native API takes them (README.md, "Triggers")."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from libs.domain.contact import STANDARD_FIELDS
from libs.domain.rules import NO_OPERAND, OPERATORS, FieldOperator, Operand
from services.api.native.rules import check_operand, long_name
from services.api.native.wire_steps import FieldName, HalfHour, Zone

Json = dict[str, Any]
Days = Annotated[int, Field(ge=1, le=365, strict=True)]


class WireTrigger(BaseModel):
    """What every trigger has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        return self.model_dump(mode="json", exclude_unset=True)


class AddedToStaticList(WireTrigger):
    """A contact was added to the list `list_id`."""

    type: Literal["added_to_static_list"]
    list_id: UUID | None = None


class RemovedFromStaticList(WireTrigger):
    """A contact was taken off the list `list_id`."""

    type: Literal["removed_from_static_list"]
    list_id: UUID | None = None


class ContactCreated(WireTrigger):
    """A contact was created."""

    type: Literal["contact_created"]


class ContactUpdated(WireTrigger):
    """A field changed; with `operator` and `value`, to a new value that passes them."""

    type: Literal["contact_updated"]
    field: FieldName | None = None
    operator: Annotated[Literal[FieldOperator, "changed"] | None, BeforeValidator(long_name)] = None
    value: Operand = None

    @model_validator(mode="after")
    def _operator_fits(self) -> Self:
        kind = STANDARD_FIELDS.get(self.field or "")
        if self.operator in {None, "changed"}:
            if self.value is not None:
                raise ValueError("value: only with an operator that compares")
        elif kind and self.operator not in OPERATORS[kind]:
            raise ValueError(f"operator: {self.operator} does not apply to a {kind} field")
        elif kind and self.operator not in NO_OPERAND:
            check_operand(kind, self.value)
        return self

    def compiled(self) -> Json:
        """Write it in the engine's language: without an operator, any change will do."""
        trigger = super().compiled()
        return trigger if trigger.get("operator") else {**trigger, "operator": "changed"}


class FormSubmitted(WireTrigger):
    """A contact submitted the form `form_id` of the page `tent_id`."""

    type: Literal["form_submitted"]
    tent_id: UUID | None = None
    form_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None


_OFFSETS = {"before_date": "days_before", "after_date": "days_after"}


class DateBased(WireTrigger):
    """The date in a field has come, or so many days before or after it."""

    type: Literal["date_based"]
    field: FieldName | None = None
    mode: Literal["on_date", "before_date", "after_date"] | None = None
    days_before: Days | None = None
    days_after: Days | None = None
    include_anniversaries: StrictBool = False
    trigger_time: HalfHour = "09:00"
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _offset_of_its_mode(self) -> Self:
        for mode, name in _OFFSETS.items():
            if getattr(self, name) is not None and self.mode not in {mode, None}:
                raise ValueError(f"{name}: only with mode {mode}")
        return self

    def compiled(self) -> Json:
        """Write it in the engine's language. A draft may not know its mode or its offset yet."""
        before = -self.days_before if self.days_before else None
        offsets = {"on_date": 0, "before_date": before, "after_date": self.days_after}
        return {
            "type": self.type,
            "field": self.field,
            "offset_days": offsets.get(self.mode or ""),
            "recurrence": "annually" if self.include_anniversaries else "never",
            "time": self.trigger_time,
            "zone": self.timezone,
        }


AnyWireTrigger = Annotated[
    AddedToStaticList
    | RemovedFromStaticList
    | ContactCreated
    | ContactUpdated
    | FormSubmitted
    | DateBased,
    Field(discriminator="type"),
]
