"""A trigger of a type this version of the program does not know; a newer one wrote it."""

from pydantic import ConfigDict, ValidationInfo, field_validator

from libs.domain.strictness import refuse_if_strict
from libs.domain.trigger import Trigger


class UnknownTrigger(Trigger):
    """Kept as it is, so that the rest of the flow can be read. It starts nothing here."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str

    @field_validator("type")
    @classmethod
    def _is_no_mistake(cls, value: str, info: ValidationInfo) -> str:
        return refuse_if_strict(info, value, "trigger")
