"""The whole definition: triggers, steps and settings."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from libs.domain.contact import ContactSnapshot, CustomField
from libs.domain.predicates import Predicate, compile_rule
from libs.domain.rules import AudienceRules
from libs.domain.steps.condition_check import ConditionCheckStep
from libs.domain.steps.drop_from_flow import DropFromFlowStep
from libs.domain.steps.send_email import SendEmailStep
from libs.domain.steps.step import Step
from libs.domain.steps.wait import WaitStep
from libs.domain.triggers.added_to_static_list import AddedToStaticList
from libs.domain.triggers.contact_created import ContactCreated

MAX_TRIGGERS = 25
MAX_STEPS = 100
MAX_SETTINGS_BYTES = 16 * 1024

AnyTrigger = Annotated[AddedToStaticList | ContactCreated, Field(discriminator="type")]
AnyStep = Annotated[
    SendEmailStep | WaitStep | ConditionCheckStep | DropFromFlowStep, Field(discriminator="type")
]


class FlowStatus(StrEnum):
    """Where a flow is in its life. `deleted` is only ever seen by the services."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"
    DELETED = "deleted"


class FlowContent(BaseModel):
    """What a user writes of a flow: seed 003, "Create a Flow", with its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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

    model_config = ConfigDict(extra="ignore", frozen=True)

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
    def _disqualifies(self) -> Predicate | None:
        rules = self.disqualification_rules
        return compile_rule(rules, self.custom_fields) if rules else None

    @property
    def first_step_id(self) -> str | None:
        """Where members start: the first step of the list."""
        return self.steps[0].step_id if self.steps else None

    def disqualifies(self, snapshot: ContactSnapshot, now: datetime) -> bool:
        """Say whether the disqualification rules match; what cannot be judged does not."""
        judge = self._disqualifies
        return judge is not None and judge(snapshot, now).outcome is True
