"""Fires when a contact is added to a static list (seed 003)."""

from typing import Literal
from uuid import UUID

from libs.domain.triggers.trigger import IndexKey, Trigger


class AddedToStaticList(Trigger):
    """A contact was added to the list `list_id`."""

    type: Literal["added_to_static_list"]
    list_id: UUID | None = None

    def index_key(self) -> IndexKey | None:
        """File it under its list."""
        return IndexKey("list.contact_added", str(self.list_id)) if self.list_id else None

    def missing(self) -> list[str]:
        """A draft may not know its list yet."""
        return [] if self.list_id else ["list_id"]
