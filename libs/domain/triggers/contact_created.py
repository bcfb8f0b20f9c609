"""Fires for every newly created contact (seed 003)."""

from typing import Literal

from libs.domain.triggers.trigger import IndexKey, Trigger


class ContactCreated(Trigger):
    """A contact was created. It has nothing to configure."""

    type: Literal["contact_created"]

    def index_key(self) -> IndexKey:
        """File it under the event type alone."""
        return IndexKey("contact.created")
