"""Send one mail, and go on when it is sent, skipped or has failed for good."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal
from uuid import UUID

from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, DeliverEmail, StepContext, StepResult, Suspend
from libs.domain.walk_events import DeliveryFinished


class SendEmailStep(LinearStep):
    """A mail of the workspace, approved before activation.

    An `operational` mail ignores the subscription fields of the contact.
    """

    sends_email: ClassVar[bool] = True

    type: Literal["send_email"]
    email_id: UUID | None = None
    operational: bool = False

    def emails(self) -> Iterable[UUID]:
        """Name its mail."""
        return (self.email_id,) if self.email_id else ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know its mail yet, or the mail may not be approved yet."""
        status = inventory.emails.get(self.email_id) if self.email_id else None
        if status is None:
            yield Issue.at("email_id", code="unknown" if self.email_id else "missing")
        elif status != "approved":
            yield Issue.at("email_id", code="not_approved")
        tags = inventory.email_tags.get(self.email_id, ()) if self.email_id else ()
        if not all(map(inventory.knows_field, tags)):
            yield Issue.at("email_id", code="unknown_tags")

    def warnings(self, inventory: Inventory) -> Iterator[Issue]:
        """A mail whose text its author emptied shows nothing where HTML is not shown."""
        if self.email_id in inventory.emails_without_text:
            yield Issue.at("email_id", code="no_text")

    def on_enter(self, context: StepContext) -> StepResult:  # noqa: ARG002  (nothing to look at yet)
        """Plan the delivery; consent is judged at the moment of sending."""
        if self.email_id is None:
            return Continue(outcome="skipped", details={"reason": "no_email"})
        effect = DeliverEmail(self.step_id, self.email_id, self.operational)
        return Suspend("delivery", effects=(effect,))

    def on_event(self, context: StepContext) -> StepResult:
        """Go on whatever became of the mail: a lost mail must not strand the contact."""
        match context.event:
            case DeliveryFinished(outcome=outcome, reason=reason):
                return Continue(outcome=outcome, details={"reason": reason} if reason else {})
            case _:
                return Continue()
