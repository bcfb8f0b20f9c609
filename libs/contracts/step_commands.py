"""step.commands: all that the executor must know or do, one contact's commands in one order.

The matcher forwards every fact about a contact as `observe`, followed by the `enroll` commands it
caused, so the executor has always seen a fact before it acts on it.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.contact_events import ContactEvent
from libs.contracts.message import AboutContact, Message
from libs.domain.contact import Scalar


class Observe(AboutContact):
    """A fact about the contact, checked and counted once."""

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["observe"] = "observe"
    event: ContactEvent


class Enroll(AboutContact):
    """Let the contact into a flow, if the flow's rules allow it.

    Attributes:
        source_id: What caused it: the event's source and id, or the id of the API's command. One
            cause enrolls a contact into a flow at most once.
        min_flow_version: The definition that said so; the executor waits until it has it.
        reply: Whether the caller awaits the verdict on command.replies.
    """

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["enroll"] = "enroll"
    flow_id: UUID
    min_flow_version: int
    source_id: str
    entry_source: str
    dynamic_context: dict[str, Scalar] = {}
    reply: bool = False


class Remove(AboutContact):
    """Drop the contact's current run, if there is one, and answer on command.replies."""

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["remove"] = "remove"
    flow_id: UUID
    min_flow_version: int


class Resume(AboutContact):
    """A timer of a membership fired. Void if the membership has moved on from that hop."""

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["resume"] = "resume"
    membership_id: UUID
    hop: int
    due_at: AwareDatetime


class FinishDelivery(AboutContact):
    """A delivery is over: sent, skipped for a reason, or failed for good."""

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["finish_delivery"] = "finish_delivery"
    membership_id: UUID
    hop: int
    outcome: Literal["sent", "skipped", "failed"]
    reason: str | None = None


class RetryDelivery(AboutContact):
    """The time has come to try a delivery again."""

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["retry_delivery"] = "retry_delivery"
    membership_id: UUID
    hop: int


class ApplyFlow(Message):
    """A flow changed: bring this partition's members in line with it, some at a time.

    One goes to every partition for each new version of a flow, and again while members are left.
    """

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["apply_flow"] = "apply_flow"
    flow_id: UUID
    version: int
    partition: int
    after: UUID = Field(default=UUID(int=0), description="The last member that was looked at.")

    @property
    def to_partition(self) -> int | None:
        """The partition it is for."""
        return self.partition


StepCommand = Annotated[
    Observe | Enroll | Remove | Resume | FinishDelivery | RetryDelivery | ApplyFlow,
    Field(discriminator="type"),
]

ADAPTER: TypeAdapter[StepCommand] = TypeAdapter(StepCommand)
"""Reads a record of this topic."""
