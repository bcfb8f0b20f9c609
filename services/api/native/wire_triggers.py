"""Triggers as the native API takes them (README.md, "Triggers")."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Json = dict[str, Any]


class WireTrigger(BaseModel):
    """What every trigger has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def compiled(self) -> Json:
        """Write it in the engine's language."""
        return self.model_dump(mode="json", exclude_unset=True)


class AddedToStaticList(WireTrigger):
    """A contact was added to the list `list_id`."""

    type: Literal["added_to_static_list"]
    list_id: UUID | None = None


class ContactCreated(WireTrigger):
    """A contact was created."""

    type: Literal["contact_created"]


AnyWireTrigger = Annotated[AddedToStaticList | ContactCreated, Field(discriminator="type")]
