"""delivery.commands: outbound work, planned by the walk and carried out beside it."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact
from libs.domain.contact import Scalar


class SendEmail(AboutContact):
    """Send a mail for a membership. (membership, hop) is the idempotency key."""

    topic: ClassVar[topics.Topic] = topics.DELIVERY_COMMANDS
    type: Literal["send_email"] = "send_email"
    membership_id: UUID
    hop: int
    flow_id: UUID
    step_id: str
    email_id: UUID
    operational: bool = False
    dynamic_context: dict[str, Scalar] = {}


class Retry(AboutContact):
    """Try a delivery again that could not be made earlier."""

    topic: ClassVar[topics.Topic] = topics.DELIVERY_COMMANDS
    type: Literal["retry"] = "retry"
    membership_id: UUID
    hop: int


DeliveryCommand = Annotated[SendEmail | Retry, Field(discriminator="type")]

ADAPTER: TypeAdapter[DeliveryCommand] = TypeAdapter(DeliveryCommand)
"""Reads a record of this topic."""
