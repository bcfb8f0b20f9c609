"""Send one mail, and go on when it is sent, skipped or has failed for good."""

from typing import Literal
from uuid import UUID

from libs.domain.step_result import (
    Continue,
    DeliveryFinished,
    SendEmail,
    StepContext,
    StepResult,
    Suspend,
)
from libs.domain.steps.step import LinearStep


class SendEmailStep(LinearStep):
    """A mail of the workspace, approved before activation (seed 003).

    An `operational` mail ignores the subscription fields of the contact.
    """

    type: Literal["send_email"]
    email_id: UUID | None = None
    operational: bool = False

    def missing(self) -> list[str]:
        """A draft may not know its mail yet."""
        return [] if self.email_id else ["email_id"]

    def on_enter(self, context: StepContext) -> StepResult:  # noqa: ARG002  (nothing to look at yet)
        """Plan the delivery; consent is judged at the moment of sending."""
        if self.email_id is None:
            return Continue(outcome="skipped", details={"reason": "no_email"})
        return Suspend(SendEmail(self.step_id, self.email_id, self.operational))

    def on_event(self, context: StepContext) -> StepResult:
        """Go on whatever became of the mail: a lost mail must not strand the contact."""
        match context.event:
            case DeliveryFinished(outcome=outcome, reason=reason):
                return Continue(outcome=outcome, details={"reason": reason} if reason else {})
            case _:
                return Continue()
