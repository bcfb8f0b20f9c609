"""Fires for every newly created contact."""

from typing import Literal

from libs.domain.trigger import IndexKey, Trigger


class ContactCreatedTrigger(Trigger):
    """A contact was created. It has nothing to configure."""

    type: Literal["contact_created"]

    def index_key(self) -> IndexKey:
        """File it under the event type alone."""
        return IndexKey("contact.created")
