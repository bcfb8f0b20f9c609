"""The whole definition: triggers, steps and settings."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from libs.domain.contact import ContactSnapshot, CustomField
from libs.domain.listening import hashed, reads_of
from libs.domain.predicates import Predicate, compile_rule
from libs.domain.rules import AudienceRules
from libs.domain.step import Step
from libs.domain.steps.condition_check import ConditionCheckStep
from libs.domain.steps.drop_from_flow import DropFromFlowStep
from libs.domain.steps.send_email import SendEmailStep
from libs.domain.steps.unknown import UnknownStep
from libs.domain.steps.wait import WaitStep
from libs.domain.triggers.added_to_static_list import AddedToStaticListTrigger
from libs.domain.triggers.contact_created import ContactCreatedTrigger
from libs.domain.triggers.unknown import UnknownTrigger

MAX_TRIGGERS = 25
MAX_STEPS = 100
MAX_SETTINGS_BYTES = 16 * 1024

_UNKNOWN = "unknown"


def _tag(value: object, types: frozenset[str]) -> str | None:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in types else _UNKNOWN


AnyTrigger = Annotated[
    Annotated[AddedToStaticListTrigger, Tag("added_to_static_list")]
    | Annotated[ContactCreatedTrigger, Tag("contact_created")]
    | Annotated[UnknownTrigger, Tag(_UNKNOWN)],
    Discriminator(lambda value: _tag(value, TRIGGER_TYPES)),
]
AnyStep = Annotated[
    Annotated[SendEmailStep, Tag("send_email")]
    | Annotated[WaitStep, Tag("wait")]
    | Annotated[ConditionCheckStep, Tag("condition_check")]
    | Annotated[DropFromFlowStep, Tag("drop_from_flow")]
    | Annotated[UnknownStep, Tag(_UNKNOWN)],
    Discriminator(lambda value: _tag(value, STEP_TYPES)),
]


def _types_in(union: Any) -> frozenset[str]:
    """Name the types a union knows: the tags of its members."""
    members = get_args(get_args(union)[0])
    return frozenset(tag.tag for member in members for tag in get_args(member)[1:]) - {_UNKNOWN}


TRIGGER_TYPES = _types_in(AnyTrigger)
STEP_TYPES = _types_in(AnyStep)
"""Every type of step this version of the program knows."""


class FlowStatus(StrEnum):
    """Where a flow is in its life. `deleted` is only ever seen by the services."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"
    DELETED = "deleted"


_END_REASONS = {FlowStatus.ARCHIVED: "flow_archived", FlowStatus.DELETED: "flow_deleted"}


class FlowContent(BaseModel):
    """What a user writes of a flow, with its limits (services/api/native/README.md)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=1000)] | None = None
    reentry_policy: Literal["allow", "no_reentry"] = "allow"
    triggers: Annotated[list[AnyTrigger], Field(max_length=MAX_TRIGGERS)] = []
    steps: Annotated[list[AnyStep], Field(max_length=MAX_STEPS)] = []
    disqualification_rules: AudienceRules | None = None
    settings: dict[str, JsonValue] = {}

    @field_validator("settings")
    @classmethod
    def _settings_fit(cls, settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if len(json.dumps(settings).encode()) > MAX_SETTINGS_BYTES:
            raise ValueError("settings hold at most 16 KB")
        return settings

    def duplicate_step_ids(self) -> list[str]:
        """Name every step id that stands more than once."""
        ids = [step.step_id for step in self.steps]
        return sorted({step_id for step_id in ids if ids.count(step_id) > 1})


class Flow(FlowContent):
    """A definition as it travels: the content, whose it is, and which version of it this is.

    `custom_fields` holds the definition of every custom field the rules name, so that no service
    has to ask another one for it.
    """

    flow_id: UUID
    workspace_id: UUID
    version: Annotated[int, Field(ge=1)]
    status: FlowStatus
    custom_fields: Mapping[UUID, CustomField] = {}

    @model_validator(mode="after")
    def _step_ids_are_unique(self) -> Self:
        if duplicates := self.duplicate_step_ids():
            raise ValueError(f"steps: duplicate step_id {', '.join(duplicates)}")
        return self

    @cached_property
    def steps_by_id(self) -> dict[str, Step]:
        """Every step by its id."""
        return {step.step_id: step for step in self.steps}

    @cached_property
    def conditions(self) -> dict[str, Predicate]:
        """The compiled rule of every step that has one, by step id."""
        return {
            step.step_id: compile_rule(rule, self.custom_fields)
            for step in self.steps
            if (rule := step.rule()) is not None
        }

    @cached_property
    def _listening(self) -> dict[str | None, tuple[int, ...]]:
        """What is listened to at each step where it is more than everywhere (None)."""
        rules, custom = self.disqualification_rules, self.custom_fields
        everywhere = hashed(reads_of(rules, custom)) if rules else frozenset()
        here = {step.step_id: hashed(step.listens_to(custom)) for step in self.steps}
        found: dict[str | None, frozenset[int]] = {None: everywhere}
        found |= {step_id: everywhere | keys for step_id, keys in here.items() if keys}
        return {step_id: tuple(sorted(keys)) for step_id, keys in found.items()}

    def listens_at(self, step_id: str | None) -> tuple[int, ...]:
        """Give the keys of the facts by which an event may concern who stands at a step."""
        return self._listening.get(step_id) or self._listening[None]

    @cached_property
    def waits_for_events(self) -> dict[str, Step]:
        """Every step at which events may move a membership, by its id."""
        return {
            step_id: step
            for step_id, step in self.steps_by_id.items()
            if any(True for _ in step.listens_to(self.custom_fields))
        }

    @cached_property
    def _disqualifies(self) -> Predicate | None:
        rules = self.disqualification_rules
        return compile_rule(rules, self.custom_fields) if rules else None

    @property
    def end_reason(self) -> str | None:
        """Say why nobody may be in this flow any more, if it is over: archived or deleted."""
        return _END_REASONS.get(self.status)

    @property
    def first_step_id(self) -> str | None:
        """Where members start: the first step of the list."""
        return self.steps[0].step_id if self.steps else None

    def disqualifies(self, snapshot: ContactSnapshot, now: datetime) -> bool:
        """Say whether the disqualification rules match; what cannot be judged does not."""
        judge = self._disqualifies
        return judge is not None and judge(snapshot, now).outcome is True
