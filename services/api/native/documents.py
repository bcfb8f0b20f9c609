"""A flow as users of the native API write it, with its limits (README.md, "Flows")."""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from services.api.native.rules import AudienceRules
from services.api.native.wire_steps import AnyWireStep
from services.api.native.wire_triggers import AnyWireTrigger

MAX_TRIGGERS = 25
MAX_STEPS = 100
MAX_SETTINGS_BYTES = 16 * 1024


class FlowDocument(BaseModel):
    """What a user writes of a flow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=1000)] | None = None
    reentry_policy: Literal["allow", "no_reentry"] = "allow"
    triggers: Annotated[list[AnyWireTrigger], Field(max_length=MAX_TRIGGERS)] = []
    steps: Annotated[list[AnyWireStep], Field(max_length=MAX_STEPS)] = []
    disqualification_rules: AudienceRules | None = None
    settings: dict[str, JsonValue] = {}

    @field_validator("settings")
    @classmethod
    def _settings_fit(cls, settings: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if len(json.dumps(settings).encode()) > MAX_SETTINGS_BYTES:
            raise ValueError("settings hold at most 16 KB")
        return settings
