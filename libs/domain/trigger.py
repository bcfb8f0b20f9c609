"""What every trigger has: where it is filed in the index, and whether an event matches it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.inventory import Inventory
from libs.domain.issue import Issue


class TriggerEvent(NamedTuple):
    """An event, as triggers see it: its workspace, type and data."""

    workspace_id: UUID
    type: str
    data: Mapping[str, Any]


class IndexKey(NamedTuple):
    """Where a trigger is filed: the event type and, where it names one, the object concerned."""

    event_type: str
    subject: str = ""


class Trigger(BaseModel):
    """One way into a flow.

    Attributes:
        trigger_id: Its name within the flow. It stays the same as long as the trigger does: what
            it has caused is told apart by it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    trigger_id: Annotated[str, Field(max_length=120)] = ""

    def index_key(self) -> IndexKey | None:
        """Say where the index files this trigger; None while it is incomplete."""
        return None

    def matches(self, event: TriggerEvent) -> bool:  # noqa: ARG002  (the index key says it all)
        """Say whether an event filed under the same key really fires this trigger."""
        return True

    def issues(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (most need nothing)
        """Name what is missing before an active flow may hold this trigger, with places in it."""
        yield from ()
