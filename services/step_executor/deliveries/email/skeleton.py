"""A mail read once, and written to each contact by filling values in.

What goes out is sent byte for byte at every attempt, because receivers that honour an idempotency
key reject the key with another body: the same in gives the same out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from uuid import UUID

from libs.contracts.tracking import TrackedMail
from libs.domain.contact import Scalar
from libs.domain.merge_tags import Template, Values
from services.step_executor.deliveries.email import headers
from services.step_executor.deliveries.email.addresses import mailbox
from services.step_executor.deliveries.email.fillers import UNSUBSCRIBE, Occasion, fill
from services.step_executor.deliveries.email.links import Links, LinksOfMail
from services.step_executor.deliveries.email.mail_request import MailRequest
from services.step_executor.deliveries.email.mime_parts import MimePart
from services.step_executor.store.rendered_mail import (
    CannotCompose,
    RenderedMail,
    within_limit,
)

_BOUNDARY = "=_millrace"
"""Neither encoding can contain it: after `=` comes a hexadecimal digit or the line's end."""
_PARTS = (
    f'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\n\r\n'
    f"--{_BOUNDARY}\r\n"
).encode()
_NEXT_PART = f"\r\n--{_BOUNDARY}\r\n".encode()
_END = f"\r\n--{_BOUNDARY}--\r\n".encode()


def message_id(membership_id: UUID, hop: int, sender: str) -> str:
    """Make the Message-ID of a delivery: its idempotency key, the same at every attempt."""
    return f"<{membership_id}.{hop}@{sender.rpartition('@')[2]}>"


@dataclass(frozen=True, slots=True)
class EmailSkeleton:
    """One version of a mail, prepared for all contacts.

    Attributes:
        sender: The address it comes from, in the form of SMTP.
        company: What merge tags of the scope `sender` stand for.
    """

    email_id: UUID
    sender: str
    company: Mapping[str, Scalar]
    from_name: Template
    subject: Template
    reply_to: bytes
    text: MimePart[Occasion]
    html: MimePart[Occasion]

    @property
    def size(self) -> int:
        """About how many bytes it takes up in memory."""
        return 2 * (self.text.size + self.html.size) + 2_000

    def render(self, request: MailRequest, links: Links, now: datetime) -> RenderedMail:
        """Write the mail to a contact.

        Marketing mail gets a way to unsubscribe: the headers, and a footer if its author put no
        link.

        Raises:
            CannotCompose: Whatever stands against it.
        """
        try:
            return self._render(request, links, now)
        except CannotCompose:
            raise
        except Exception as error:  # one contact's values must not stop the mails of others
            raise CannotCompose(f"cannot_render: {error!r:.200}") from error

    def _render(self, request: MailRequest, links: Links, now: datetime) -> RenderedMail:
        recipient = mailbox(str(request.fields.get("email") or ""))
        key = message_id(request.membership_id, request.hop, self.sender)
        links_of_mail = links.of(self._tracked(request, key))
        values = self._values(request, links_of_mail)
        occasion = Occasion(values, links_of_mail, request.operational)
        written = [
            headers.address("From", self.sender, _fill(self.from_name, values)),
            headers.address("To", recipient),
            self.reply_to,
            headers.text("Subject", _fill(self.subject, values)),
            headers.plain("Date", format_datetime(now)),
            headers.plain("Message-ID", key),
            b"" if request.operational else _unsubscribe(links_of_mail),
            _PARTS,
            self.text.render(occasion),
            _NEXT_PART,
            self.html.render(occasion),
            _END,
        ]
        within_limit(sum(map(len, written)))
        return RenderedMail(self.sender, recipient, b"".join(written))

    def _tracked(self, request: MailRequest, key: str) -> TrackedMail:
        return TrackedMail.model_construct(
            workspace_id=request.workspace_id,
            contact_id=request.contact_id,
            email_id=self.email_id,
            membership_id=request.membership_id,
            step_id=request.step_id,
            message_id=key,
        )

    def _values(self, request: MailRequest, links: LinksOfMail) -> Values:
        return {
            "contact": {**request.custom_fields, **request.fields},
            "campaign.dynamic": request.dynamic_context,
            "sender": {**self.company, UNSUBSCRIBE: links.unsubscribe},
        }


def _fill(template: Template, values: Values) -> str:
    return fill(template, [tag.text(values) for tag in template.tags])


def _unsubscribe(links: LinksOfMail) -> bytes:
    return headers.plain("List-Unsubscribe", f"<{links.unsubscribe}>") + headers.plain(
        "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"
    )
