"""flow.definitions: whole definitions of flows and mails, the last one of each kept for ever."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.command_replies import DefinitionApplied
from libs.contracts.message import Message, derived_id
from libs.domain.flow import Flow


class FlowDefined(Message):
    """A flow is now defined so. Later versions have higher numbers.

    With `reply` set, a service that has taken the definition in says so on command.replies.
    """

    topic: ClassVar[topics.Topic] = topics.FLOW_DEFINITIONS
    type: Literal["flow.defined"] = "flow.defined"
    flow: Flow
    reply: bool = False

    @property
    def key(self) -> str:
        """The flow's id."""
        return f"flow:{self.flow.flow_id}"

    def applied(
        self, service: Literal["trigger_matcher", "step_executor"], now: datetime
    ) -> DefinitionApplied:
        """Say that a service has taken this definition in."""
        return DefinitionApplied(
            id=derived_id("applied", service, self.id),
            time=now,
            workspace_id=self.workspace_id,
            flow_id=self.flow.flow_id,
            version=self.flow.version,
            service=service,
        )


class EmailContent(BaseModel):
    """An approved mail: headers and bodies with merge tags."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    email_id: UUID
    version: int
    subject: str
    preview_text: str | None = None
    from_name: str
    from_address: str
    reply_to_email: str | None = None
    html: str
    text: str | None = None
    sender: dict[str, str] = Field(
        default={}, description="The workspace's company, address and privacyUrl, for merge tags."
    )


class EmailDefined(Message):
    """A mail was approved with this content; sends from now on use it."""

    topic: ClassVar[topics.Topic] = topics.FLOW_DEFINITIONS
    type: Literal["email.defined"] = "email.defined"
    email: EmailContent

    @property
    def key(self) -> str:
        """The mail's id."""
        return f"email:{self.email.email_id}"


FlowDefinition = Annotated[FlowDefined | EmailDefined, Field(discriminator="type")]

ADAPTER: TypeAdapter[FlowDefinition] = TypeAdapter(
    FlowDefinition, config=ConfigDict(hide_input_in_errors=True)
)
"""Reads a record of this topic. What is wrong with one is told without it: steps hold tokens."""
