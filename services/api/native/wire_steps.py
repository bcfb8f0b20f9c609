"""Steps as the native API takes them (README.md, "Steps"), and what they are to the engine.

Each has its edges beside its other fields, as `next_step_id`; the engine keeps them together.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    model_validator,
)

from libs.domain.calendar import DurationUnit, check_wait, known_zone
from libs.domain.step import StepId
from libs.domain.steps.create_tent import (
    MAX_ALIAS_TEMPLATE,
    MAX_NAME_CHARACTERS,
    MAX_PROMPT_CHARACTERS,
    check_alias,
)
from libs.domain.steps.send_webhook import RESERVED_KEYS
from libs.domain.steps.update_contact import MAX_OPERATIONS, MAX_VALUE_CHARACTERS
from libs.domain.steps.wait import check_mode
from libs.domain.webhook_url import MAX_URL_CHARACTERS
from services.api.native.rules import RuleTree

Json = dict[str, Any]
FieldName = Annotated[str, Field(min_length=1, max_length=100)]
FieldValue = Annotated[str, Field(max_length=MAX_VALUE_CHARACTERS)] | bool | int | float | None
WriteMode = Literal["overwrite", "skip_if_filled"]
Amount = Annotated[int, Field(ge=1, strict=True)]
HalfHour = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):(00|30)$")]
Zone = Annotated[str, AfterValidator(known_zone)]
MAX_CUSTOM_FIELDS = 50


class WireStep(BaseModel):
    """What every step has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edge_fields: ClassVar[Mapping[str, str]] = {}
    """The field of each edge, by the name the engine has for the edge."""
    engine_names: ClassVar[Mapping[str, str]] = {}
    """What the engine calls fields that it calls otherwise."""

    step_id: StepId
    label: Annotated[str, Field(max_length=200)] | None = None

    def compiled(self) -> Json:
        """Write it in the engine's language. An edge that was not given is not named there."""
        dumped = self.model_dump(mode="json", exclude_unset=True)
        step = {self.engine_names.get(name, name): value for name, value in dumped.items()}
        edges = {edge: step.pop(field) for edge, field in self.edge_fields.items() if field in step}
        return {**step, "edges": edges} if edges else step


class _Linear(WireStep):
    edge_fields: ClassVar[Mapping[str, str]] = {"next": "next_step_id"}

    next_step_id: StepId | None = None


class SendEmail(_Linear):
    """Send one approved mail; an `operational` one ignores the subscription fields."""

    type: Literal["send_email"]
    email_id: UUID | None = None
    operational: StrictBool = False


_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "condition": ("timeout_amount", "timeout_unit", "timeout_step_id"),
    "until_date_field": ("trigger_time", "timezone"),
}
"""What one mode of a wait has and the others have not."""


class Wait(_Linear):
    """Wait for a length of time, for a date of the contact, or until a condition holds."""

    edge_fields: ClassVar[Mapping[str, str]] = {
        "next": "next_step_id",
        "timeout": "timeout_step_id",
    }
    engine_names: ClassVar[Mapping[str, str]] = {"trigger_time": "time", "timezone": "zone"}

    type: Literal["wait"]
    duration_amount: Amount | None = None
    duration_unit: DurationUnit | None = None
    until_date_field: FieldName | None = None
    trigger_time: HalfHour | None = None
    timezone: Zone | None = None
    condition: RuleTree | None = None
    timeout_amount: Amount | None = None
    timeout_unit: DurationUnit | None = None
    timeout_step_id: StepId | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        check_wait("duration_amount", self.duration_amount, self.duration_unit)
        check_wait("timeout_amount", self.timeout_amount, self.timeout_unit)
        for mode, names in _ONLY_WITH.items():
            for name in names:
                if getattr(self, mode) is None and getattr(self, name) is not None:
                    raise ValueError(f"{name}: only with {mode}")
        check_mode(
            duration_amount=self.duration_amount or self.duration_unit,
            until_date_field=self.until_date_field,
            condition=self.condition,
        )
        return self

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        return {name: value for name, value in super().compiled().items() if value is not None}


class SendWebhook(_Linear):
    """Call an address: a request about the contact and its run."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    engine_names: ClassVar[Mapping[str, str]] = {"endpoint_url": "url", "auth_type": "auth"}

    type: Literal["send_webhook"]
    endpoint_url: Annotated[str, Field(min_length=1, max_length=MAX_URL_CHARACTERS)] | None = None
    method: Literal["post", "put", "get"] = "post"
    auth_type: Literal["none", "jwt"] = "none"
    token: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    token_set: StrictBool | None = None
    secret_arn: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    custom_fields: dict[str, FieldValue] = {}
    on_failure: Literal["continue", "drop"] = "continue"

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.auth_type == "none":
            for name in ("token", "secret_arn"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name}: only with auth_type jwt")
        if len(self.custom_fields) > MAX_CUSTOM_FIELDS:
            raise ValueError(f"custom_fields: at most {MAX_CUSTOM_FIELDS}")
        if taken := sorted(RESERVED_KEYS & self.custom_fields.keys()):
            raise ValueError(f"custom_fields.{taken[0]}: the payload has a field of this name")
        return self

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        step = super().compiled()
        step.pop("token_set", None)
        return step


class ConditionCheck(WireStep):
    """Branch on a rule."""

    edge_fields: ClassVar[Mapping[str, str]] = {
        "true": "true_step_id",
        "false": "false_step_id",
        "default": "default_step_id",
    }

    type: Literal["condition_check"]
    condition: RuleTree | None = None
    true_step_id: StepId | None = None
    false_step_id: StepId | None = None
    default_step_id: StepId | None = None


class FieldUpdate(BaseModel):
    """A field of the contact, and what becomes of it; null empties it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: FieldName
    value: FieldValue = None
    write_mode: WriteMode = "overwrite"

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        if self.write_mode == "skip_if_filled":
            return {"op": "set_if_empty", "field": self.field, "value": self.value}
        if self.value is None:
            return {"op": "clear", "field": self.field}
        return {"op": "set", "field": self.field, "value": self.value}


class UpdateContact(_Linear):
    """Change fields of the contact: `updates`, or one alone as `field` and `value`."""

    type: Literal["update_contact"]
    updates: Annotated[list[FieldUpdate], Field(max_length=MAX_OPERATIONS)] | None = None
    field: FieldName | None = None
    value: FieldValue = None
    write_mode: WriteMode | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        short = {"field", "value", "write_mode"} & self.model_fields_set
        if self.updates is not None and short:
            raise ValueError(f"{min(short)}: give updates, or field and value, not both")
        return self

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        step = super().compiled()
        for name in ("updates", "field", "value", "write_mode"):
            step.pop(name, None)
        return {**step, "operations": [one.compiled() for one in self._updates()]}

    def _updates(self) -> list[FieldUpdate]:
        if self.updates is not None:
            return self.updates
        if self.field is None:
            return []
        mode = self.write_mode or "overwrite"
        return [FieldUpdate(field=self.field, value=self.value, write_mode=mode)]


class _ChangeList(_Linear):
    list_id: UUID | None = None

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        step = super().compiled()
        list_id = step.pop("list_id", None)
        return {**step, "list_ids": [list_id] if list_id else []}


class AddToList(_ChangeList):
    """Put the contact on a static list."""

    type: Literal["add_to_list"]


class RemoveFromList(_ChangeList):
    """Take the contact off a static list."""

    type: Literal["remove_from_list"]


class CreateTent(_Linear):
    """Make a web page for the contact."""

    engine_names: ClassVar[Mapping[str, str]] = {"custom_page_alias": "alias", "tent_name": "name"}

    type: Literal["create_tent"]
    source: Literal["scratch", "template"] = "scratch"
    template_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)] | None = None
    auto_publish: StrictBool = False
    custom_page_alias: Annotated[str, Field(min_length=1, max_length=MAX_ALIAS_TEMPLATE)] | None = (
        None
    )
    tent_name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.template_id is not None and self.source != "template":
            raise ValueError("template_id: only with source template")
        try:
            check_alias(self.custom_page_alias, publish=self.auto_publish)
        except ValueError as error:
            raise ValueError(f"custom_page_alias: {error}") from None
        return self


class DropFromFlow(WireStep):
    """End the run at once. It has no edge."""

    type: Literal["drop_from_flow"]


AnyWireStep = Annotated[
    SendEmail
    | Wait
    | UpdateContact
    | AddToList
    | RemoveFromList
    | ConditionCheck
    | SendWebhook
    | CreateTent
    | DropFromFlow,
    Field(discriminator="type"),
]
_KINDS: tuple[type[WireStep], ...] = get_args(get_args(AnyWireStep)[0])
KINDS: Mapping[str, type[WireStep]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind for kind in _KINDS
}
"""The model of each type of step."""
EDGE_FIELDS: Mapping[str, frozenset[str]] = {
    name: frozenset(kind.edge_fields.values()) for name, kind in KINDS.items()
}
"""Where a step of each type keeps its edges."""
