"""What recipients do with a mail becomes a contact event."""

from typing import Literal
from uuid import uuid4

from libs.contracts.contact_events import EmailEvent, MailRef
from libs.contracts.tracking import TrackedMail
from services.api.use_cases.app_context import AppContext

SOURCE = "/millrace/tracking"


async def record(
    app_context: AppContext,
    mail: TrackedMail,
    kind: Literal["email.opened", "email.clicked", "email.unsubscribed"],
) -> None:
    """Publish what happened to a mail.

    Raises:
        Problem: If Kafka cannot be reached.
    """
    reference = MailRef(
        email_id=mail.email_id,
        membership_id=mail.membership_id,
        step_id=mail.step_id,
        message_id=mail.message_id,
        url=mail.url,
    )
    event = EmailEvent(
        id=str(uuid4()),
        source=SOURCE,
        type=kind,
        subject=mail.contact_id,
        time=app_context.clock.now(),
        workspaceid=mail.workspace_id,
        data=reference,
    )
    await app_context.publish(event)
