"""Composing a mail: merge tags, tracked links, headers. Pure: the same in gives the same out.

The result is journalled and sent byte for byte at every attempt, because receivers that honour an
idempotency key reject the key with another body.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from uuid import UUID

from libs.contracts import tracking
from libs.contracts.delivery_commands import SendEmail
from libs.contracts.flow_definitions import EmailContent
from libs.contracts.tracking import Purpose, TrackedMail
from libs.domain.contact import ContactSnapshot, Scalar
from libs.domain.merge_tags import Values, render, tags_in
from services.step_executor.deliveries.plain_text import plain_text
from services.step_executor.store.deliveries import RenderedMail

_LINK = re.compile(r'(<a\b[^>]*?\bhref=)(["\'])(https?://[^"\']+)\2', re.IGNORECASE)
_POLICY = SMTP.clone(max_line_length=998)
"""Links in headers are long, and a folded or encoded one would not work: SMTP's own limit."""
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_UNSUBSCRIBE = "unsubscribeOneClickLink"
_CANNOT_WRITE = (ValueError, LookupError, AttributeError, MessageError)
"""What the email package raises for addresses and headers it cannot read or write."""


class CannotCompose(Exception):  # noqa: N818  (the mail's fault or the contact's, not the program's)
    """The mail cannot be written to this contact; the message says why."""


@dataclass(frozen=True, slots=True)
class Links:
    """How links in mails are made: the API's public address, and the key they are signed with."""

    public_url: str
    signing_key: str

    def to(self, purpose: Purpose, mail: TrackedMail) -> str:
        """Make a link."""
        token = tracking.sign(mail, purpose, self.signing_key)
        return f"{self.public_url.rstrip('/')}/t/{purpose}/{token}"


def message_id(membership_id: UUID, hop: int, sender: str) -> str:
    """Make the Message-ID of a delivery: its idempotency key, the same at every attempt."""
    return f"<{membership_id}.{hop}@{sender.rpartition('@')[2]}>"


def compose(
    content: EmailContent,
    command: SendEmail,
    snapshot: ContactSnapshot,
    links: Links,
    now: datetime,
) -> RenderedMail:
    """Write a mail to a contact.

    Marketing mail gets a way to unsubscribe: the headers, and a footer if its author put no link.

    Raises:
        CannotCompose: If an address or a header is not valid.
    """
    mail = _tracked(content, command)
    unsubscribe = links.to("u", mail)
    values = _values(content, command, snapshot, unsubscribe)
    body = _html(content, command, values)
    text = _text(content, command, values, body)
    message = EmailMessage(policy=_POLICY)
    try:
        _write_headers(message, content, values, snapshot, now)
        message["Message-ID"] = mail.message_id
        if not command.operational:
            message["List-Unsubscribe"] = f"<{unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(text)
        message.add_alternative(_with_tracking(body, mail, links), subtype="html")
        written = message.as_bytes()
    except _CANNOT_WRITE as error:
        raise CannotCompose(str(error)) from error
    return RenderedMail(content.from_address, str(snapshot.fields["email"]), written)


def _tracked(content: EmailContent, command: SendEmail) -> TrackedMail:
    return TrackedMail(
        workspace_id=command.workspace_id,
        contact_id=command.contact_id,
        email_id=content.email_id,
        membership_id=command.membership_id,
        step_id=command.step_id,
        message_id=message_id(command.membership_id, command.hop, content.from_address),
    )


def _values(
    content: EmailContent, command: SendEmail, snapshot: ContactSnapshot, unsubscribe: str
) -> Values:
    sender: Mapping[str, Scalar] = {**content.sender, _UNSUBSCRIBE: unsubscribe}
    return {
        "contact": {**snapshot.custom_fields, **snapshot.fields},
        "campaign.dynamic": command.dynamic_context,
        "sender": sender,
    }


def _write_headers(
    message: EmailMessage,
    content: EmailContent,
    values: Values,
    snapshot: ContactSnapshot,
    now: datetime,
) -> None:
    def one_line(template: str) -> str:
        return _CONTROL.sub(" ", render(template, values, escape=False)).strip()

    message["From"] = Address(one_line(content.from_name), addr_spec=content.from_address)
    message["To"] = Address(addr_spec=str(snapshot.fields["email"]))
    if content.reply_to_email:
        message["Reply-To"] = Address(addr_spec=content.reply_to_email)
    message["Subject"] = one_line(content.subject)
    message["Date"] = format_datetime(now)


def _html(content: EmailContent, command: SendEmail, values: Values) -> str:
    template = content.html
    if content.preview_text:
        template = _preheader(content.preview_text) + template
    if not command.operational and ("sender", _UNSUBSCRIBE) not in set(tags_in(template)):
        footer = '<p><a href="{{sender.unsubscribeOneClickLink}}">Unsubscribe</a></p>'
        template = _before_end(template, footer)
    return render(template, values, escape=True)


def _preheader(preview: str) -> str:
    return f'<div style="display:none;max-height:0;overflow:hidden">{html.escape(preview)}</div>'


def _text(content: EmailContent, command: SendEmail, values: Values, body: str) -> str:
    if content.text is None:
        return plain_text(body)
    text = render(content.text, values, escape=False)
    if command.operational or ("sender", _UNSUBSCRIBE) in set(tags_in(content.text)):
        return text
    return f"{text}\n\nUnsubscribe: {values['sender'][_UNSUBSCRIBE]}\n"


def _with_tracking(body: str, mail: TrackedMail, links: Links) -> str:
    """Lead links through the API, so that a click is seen; add the pixel that shows an opening."""
    own = links.public_url.rstrip("/") + "/t/"

    def lead_through(link: re.Match[str]) -> str:
        address = html.unescape(link[3])
        if address.startswith(own):
            return link[0]
        tracked = links.to("c", mail.model_copy(update={"url": address}))
        return f"{link[1]}{link[2]}{tracked}{link[2]}"

    pixel = f'<img src="{links.to("o", mail)}.gif" width="1" height="1" alt="">'
    return _before_end(_LINK.sub(lead_through, body), pixel)


def _before_end(document: str, addition: str) -> str:
    end = _BODY_END.search(document)
    return (
        f"{document[: end.start()]}{addition}{document[end.start() :]}"
        if end
        else document + addition
    )
