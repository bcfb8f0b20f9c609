"""What every trigger has: where it is filed in the index, and whether an event matches it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """An event, as triggers see it: its workspace, type and data."""

    workspace_id: UUID
    type: str
    data: Mapping[str, Any]


class IndexKey(NamedTuple):
    """Where a trigger is filed: the event type and, where it names one, the object concerned."""

    event_type: str
    subject: str = ""


class Trigger(BaseModel):
    """One way into a flow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def index_key(self) -> IndexKey | None:
        """Say where the index files this trigger; None while it is incomplete."""
        return None

    def matches(self, event: TriggerEvent) -> bool:  # noqa: ARG002  (the index key says it all)
        """Say whether an event filed under the same key really fires this trigger."""
        return True

    def missing(self) -> list[str]:
        """Name the fields that a draft may leave open but an active flow may not."""
        return []
