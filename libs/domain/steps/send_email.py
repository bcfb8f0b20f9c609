"""Send one mail, and go on when it is sent, skipped or has failed for good."""

from typing import Literal
from uuid import UUID

from libs.domain.situation import Answer, DeliveryFinished, GoOn, SendEmail, Situation, StandStill
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

    def arrive(self, situation: Situation) -> Answer:  # noqa: ARG002  (nothing to look at yet)
        """Plan the delivery; consent is judged at the moment of sending."""
        if self.email_id is None:
            return GoOn(outcome="skipped", details={"reason": "no_email"})
        return StandStill(SendEmail(self.step_id, self.email_id, self.operational))

    def wake(self, situation: Situation) -> Answer:
        """Go on whatever became of the mail: a lost mail must not strand the contact."""
        match situation.occurrence:
            case DeliveryFinished(outcome=outcome, reason=reason):
                return GoOn(outcome=outcome, details={"reason": reason} if reason else {})
            case _:
                return GoOn()
