"""Fires when a contact is taken off a static list."""

from collections.abc import Iterator
from typing import Literal
from uuid import UUID

from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.trigger import IndexKey, Trigger


class RemovedFromStaticListTrigger(Trigger):
    """A contact was taken off the list `list_id`."""

    type: Literal["removed_from_static_list"]
    list_id: UUID | None = None

    def index_key(self) -> IndexKey | None:
        """File it under its list."""
        if self.list_id is None:
            return None
        return IndexKey("list.contact_removed", "list_id", str(self.list_id))

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know its list yet, or name one that does not exist."""
        if self.list_id not in inventory.lists:
            yield Issue.at("list_id")
