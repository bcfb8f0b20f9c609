"""step.commands: all that the executor must know or do, one contact's commands in one order.

The matcher forwards every event about a contact as one `observe`, which carries the flows it
starts, so the executor has always seen what happened before it acts on it.
"""

from functools import cached_property
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.contact_events import ContactEvent, Submission
from libs.contracts.message import AboutContact, Depth, Message
from libs.domain.contact import Scalar


class FlowStart(BaseModel):
    """A flow that an event starts for its contact, if the flow's rules allow it.

    Attributes:
        min_flow_version: The definition that said so; the executor waits until it has it.
        trigger_type: The type of the trigger that matched.
        trigger_id: Which one it is, or its place among the flow's triggers if it has no id. Whether
            it really fires may depend on what is known of the contact. A flow may come with
            several; one that fires is enough.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    flow_id: UUID
    min_flow_version: int
    trigger_type: str
    trigger_id: str = ""


class Observe(AboutContact):
    """An event about the contact, checked and counted once, with the flows it starts, in order.

    Attributes:
        event: What happened.
        starts: The flows it starts.
        piece: An event that starts very many flows goes out in pieces, numbered from 0. Only the
            first one changes what is known of the contact; the others carry further starts.
    """

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["observe"] = "observe"
    event: ContactEvent
    starts: list[FlowStart] = []
    piece: int = 0

    def body(self) -> bytes:
        """Write it as JSON: once, because its size is asked for before it is sent."""
        return self._written

    @cached_property
    def _written(self) -> bytes:
        return super().body()


class DueDate(BaseModel):
    """A date of the contact that has come, for a date trigger of the flow.

    Attributes:
        number: Which occurrence of the date it is (libs/domain/occurrences.py).
        due_at: When it fell due.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    trigger_id: str
    number: int
    due_at: AwareDatetime

    @property
    def cause(self) -> str:
        """What it is called as the cause of an enrollment."""
        return f"date:{self.trigger_id}:{self.number}"


class Enroll(AboutContact):
    """Let the contact into a flow, if the flow's rules allow it.

    A caller of the API asks for it, the scheduler because a date has come, or an operator who
    replays a start that was put aside.

    Attributes:
        source_id: What caused it: the event's source and id, the id of the API's command, or the
            occurrence of a date. One cause enrolls a contact into a flow at most once.
        min_flow_version: The definition that said so; the executor waits until it has it.
        depth: How many flows, one causing the next, led to it.
        entry: What the form said that caused it, if one did.
        reply: Whether the caller awaits the verdict on command.replies.
        due_date: The date that has come, if that is why; it is judged again.
    """

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["enroll"] = "enroll"
    flow_id: UUID
    min_flow_version: int
    source_id: str
    entry_source: str
    dynamic_context: dict[str, Scalar] = {}
    depth: Depth = 0
    entry: Annotated[Submission | None, Field(exclude_if=lambda entry: entry is None)] = None
    reply: bool = False
    due_date: DueDate | None = Field(default=None, exclude_if=lambda due_date: due_date is None)


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


class FinishPage(AboutContact):
    """The page a membership waits for is made, or will not be. Void if it has moved on.

    Attributes:
        outcome: `made` is a page that nobody can see yet.
        url: Where a published page is.
        warnings: What was not done as it was asked for: `alias_taken`, `alias_malformed`.
        reason: Why it failed.
    """

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["finish_page"] = "finish_page"
    membership_id: UUID
    hop: int
    page_id: UUID
    outcome: Literal["published", "made", "failed"]
    url: str | None = None
    warnings: list[str] = []
    reason: str | None = None


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


class RestateDates(Message):
    """Tell the scheduler what this partition's contacts hold in a field, some at a time.

    One goes to every partition when the first flow of a workspace goes by a date field: until then
    nobody has told the scheduler of it.
    """

    topic: ClassVar[topics.Topic] = topics.STEP_COMMANDS
    type: Literal["restate_dates"] = "restate_dates"
    field: str
    partition: int
    after: UUID = Field(default=UUID(int=0), description="The last contact that was looked at.")

    @property
    def to_partition(self) -> int | None:
        """The partition it is for."""
        return self.partition


StepCommand = Annotated[
    Observe | Enroll | Remove | Resume | FinishPage | ApplyFlow | RestateDates,
    Field(discriminator="type"),
]

ADAPTER: TypeAdapter[StepCommand] = TypeAdapter(StepCommand)
"""Reads a record of this topic."""
