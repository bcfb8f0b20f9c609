"""contact.commands: what flows ask of the system that owns the contacts.

The owner carries a command out and publishes what changed on contact.events. The built-in
directory of the API does so for users without such a system.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact
from libs.domain.contact import Scalar


class UpdateContact(AboutContact):
    """Set these fields (null empties one)."""

    topic: ClassVar[topics.Topic] = topics.CONTACT_COMMANDS
    type: Literal["contact.update"] = "contact.update"
    fields: dict[str, Scalar] = {}
    custom_fields: dict[str, Scalar] = {}


class ChangeListMembership(AboutContact):
    """Put the contact on a static list, or take it off."""

    topic: ClassVar[topics.Topic] = topics.CONTACT_COMMANDS
    type: Literal["contact.add_to_list", "contact.remove_from_list"]
    list_id: UUID


ContactCommand = Annotated[UpdateContact | ChangeListMembership, Field(discriminator="type")]

ADAPTER: TypeAdapter[ContactCommand] = TypeAdapter(ContactCommand)
"""Reads a record of this topic."""
