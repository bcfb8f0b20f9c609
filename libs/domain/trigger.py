"""What every trigger has: where it is filed in the index, and whether an event fires it."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.contact import ContactSnapshot, Scalar
from libs.domain.contact_changes import ContactChange
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue


class TriggerEvent(NamedTuple):
    """An event, as triggers see it: its workspace, type and data, and when it happened."""

    workspace_id: UUID
    type: str
    data: Mapping[str, Any]
    at: datetime


class IndexKey(NamedTuple):
    """Where a trigger is filed: the most selective thing it asks of an event.

    Attributes:
        event_type: The event's type.
        path: A property of the event that must be there, if it asks for one: `list_id`,
            `fields.leadStatus`.
        value: What the property must be, if it asks for one value; that of a field is written as
            `comparable` does.
    """

    event_type: str
    path: str = ""
    value: Hashable = None


def comparable(value: Scalar) -> Hashable:
    """Write a field's value as rules compare it: text without regard to case, truth as itself."""
    return value if isinstance(value, bool) else str(value).casefold()


class EventTest(ABC):
    """What a trigger asks of an event that the index has not answered by itself.

    Tests that ask the same are equal, and judged once per event, however many flows share them.
    """

    __slots__ = ()

    @abstractmethod
    def holds(self, event: TriggerEvent) -> bool:
        """Say whether the event passes."""


class Trigger(BaseModel):
    """One way into a flow.

    Attributes:
        trigger_id: Its name within the flow. It stays the same as long as the trigger does: what
            it has caused is told apart by it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    judges_facts: ClassVar[bool] = False
    """Whether an event that matches may still not fire it, by what was known of the contact."""

    trigger_id: Annotated[str, Field(max_length=120)] = ""

    def index_key(self) -> IndexKey | None:
        """Say where the index files this trigger; None while it is incomplete."""
        return None

    def event_test(self) -> EventTest | None:
        """Give what else it asks of an event filed under the same key; None if that says it all."""
        return None

    def fires(self, known: ContactSnapshot, change: ContactChange) -> bool:  # noqa: ARG002  (most judge the event alone)
        """Say whether an event that matches really fires it.

        Args:
            known: What was known of the contact before the event.
            change: What the event changes.
        """
        return True

    def fields(self) -> Iterable[str]:
        """Name the fields of contacts it looks at, custom ones by api name."""
        return ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (most need nothing)
        """Name what is missing before an active flow may hold this trigger, with places in it."""
        yield from ()
