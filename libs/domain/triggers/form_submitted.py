"""Fires when a contact submits a form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.trigger import EventTest, IndexKey, Trigger, TriggerEvent


@dataclass(frozen=True, slots=True)
class OnTent(EventTest):
    """Whether the form was submitted on this tent."""

    tent_id: UUID

    def holds(self, event: TriggerEvent) -> bool:
        """Compare the tent."""
        return str(event.data.get("tent_id")) == str(self.tent_id)


class FormSubmittedTrigger(Trigger):
    """A contact submitted the form `form_id`, on the tent `tent_id` if one is named."""

    type: Literal["form_submitted"]
    form_id: Annotated[str, Field(max_length=255)] | None = None
    tent_id: UUID | None = None

    def index_key(self) -> IndexKey | None:
        """File it under its form."""
        return IndexKey("form.submitted", "form_id", self.form_id) if self.form_id else None

    def event_test(self) -> EventTest | None:
        """Ask for the tent, if it names one: a form's id need not be unique across them."""
        return OnTent(self.tent_id) if self.tent_id else None

    def issues(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (as in Trigger)
        """A draft may not know its form yet."""
        if not self.form_id:
            yield Issue.at("form_id")
