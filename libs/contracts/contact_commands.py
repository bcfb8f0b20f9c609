"""contact.commands: what flows ask of the system that owns the contacts.

The owner carries a command out and publishes what changed on contact.events, with the command's
`depth` as `millracedepth`. The built-in directory of the API does so for users without such a
system.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact, Depth
from libs.domain.contact import Scalar


class _ContactCommand(AboutContact):
    """What a flow asks for.

    Attributes:
        depth: How many flows, one causing the next, led to it; the one that asks is counted.
        differs: Whether it makes a difference to what the flow knows of the contact. Where it makes
            none to what the owner knows either, there is nothing to publish.
    """

    depth: Depth = 0
    differs: bool = True


class UpdateContact(_ContactCommand):
    """Set these fields (null empties one)."""

    topic: ClassVar[topics.Topic] = topics.CONTACT_COMMANDS
    type: Literal["contact.update"] = "contact.update"
    fields: dict[str, Scalar] = {}
    custom_fields: dict[str, Scalar] = {}


class ChangeListMembership(_ContactCommand):
    """Put the contact on a static list, or take it off."""

    topic: ClassVar[topics.Topic] = topics.CONTACT_COMMANDS
    type: Literal["contact.add_to_list", "contact.remove_from_list"]
    list_id: UUID


ContactCommand = Annotated[UpdateContact | ChangeListMembership, Field(discriminator="type")]

ADAPTER: TypeAdapter[ContactCommand] = TypeAdapter(ContactCommand)
"""Reads a record of this topic."""
