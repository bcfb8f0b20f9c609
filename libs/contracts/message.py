"""What every message carries."""

from hashlib import sha1
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from libs.contracts.topics import Topic

_IDS = UUID("6d1f5c0e-3a0b-4d5e-9a57-6c1d0f2b7e11")


Depth = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""How many flows, one causing the next, led to this."""


class Message(BaseModel):
    """A message of ours: an id, a time and a workspace. Subclasses add a `type` and a key."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    topic: ClassVar[Topic]

    id: UUID
    time: AwareDatetime
    workspace_id: UUID

    @property
    def key(self) -> str:
        """What the record is keyed by."""
        return str(self.workspace_id)

    @property
    def to_partition(self) -> int | None:
        """The one partition this message must go to, where the key does not decide it."""
        return None

    def body(self) -> bytes:
        """Write the message as JSON."""
        return self.model_dump_json(by_alias=True).encode()


class AboutContact(Message):
    """A message about one contact, in that contact's order."""

    contact_id: UUID = Field(description="The contact this is about; also the record's key.")

    @property
    def key(self) -> str:
        """The contact's id."""
        return str(self.contact_id)

    @property
    def contact_key(self) -> tuple[UUID, UUID]:
        """Workspace and contact: what a contact is known by, so that no tenant meets another's."""
        return self.workspace_id, self.contact_id


def derived_id(*parts: object) -> UUID:
    """Make the id of a message from what caused it, so that doing it again gives the same id.

    It is `uuid5` without its detours, which every message would pay for.
    """
    name = _IDS.bytes + "\x1f".join(map(str, parts)).encode()
    return UUID(bytes=sha1(name, usedforsecurity=False).digest()[:16], version=5)


def id_in_timeline(membership_id: UUID, sequence: int, index: int) -> UUID:
    """Make the id of a message that a walk causes.

    Args:
        membership_id: The membership; its id has 122 bits of chance, which is what keeps the ids
            of different memberships apart.
        sequence: The number of the walk's last timeline entry: no two walks share it.
        index: Which of the walk's messages it is, from 0 to 15.
    """
    return UUID(int=membership_id.int ^ (sequence << 4 | index))
