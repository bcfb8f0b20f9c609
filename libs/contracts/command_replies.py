"""command.replies: verdicts an HTTP call waits for. Every API process reads all of them."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.membership_events import MembershipState
from libs.contracts.message import Message


class CommandDone(Message):
    """What became of an enroll or remove command.

    Attributes:
        command_id: The command's id.
        refusal: Why nothing was done (see `libs.domain.enrollment.Refusal`, or `not_in_flow`).
        membership: The membership afterwards, if something was done.
    """

    topic: ClassVar[topics.Topic] = topics.COMMAND_REPLIES
    type: Literal["command.done"] = "command.done"
    command_id: UUID
    refusal: str | None = None
    membership: MembershipState | None = None


class DefinitionApplied(Message):
    """A service works by this version of a flow from now on."""

    topic: ClassVar[topics.Topic] = topics.COMMAND_REPLIES
    type: Literal["definition.applied"] = "definition.applied"
    flow_id: UUID
    version: int
    service: Literal["trigger_matcher", "step_executor"]


CommandReply = Annotated[CommandDone | DefinitionApplied, Field(discriminator="type")]

ADAPTER: TypeAdapter[CommandReply] = TypeAdapter(CommandReply)
"""Reads a record of this topic."""
