"""Mails for tests: their content, who gets them, and how they look to who reads them."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from libs.contracts.flow_definitions import EmailContent
from services.step_executor.deliveries.email.compile_email import compile_email
from services.step_executor.deliveries.email.links import Links
from services.step_executor.deliveries.email.mail_request import MailRequest
from services.step_executor.store.rendered_mail import RenderedMail
from tests.support.builders import CONTACT, NOW, WELCOME, WORKSPACE

KEY = "0123456789abcdef"
LINKS = Links("https://flows.example", KEY)


def a_mail(**changes: Any) -> EmailContent:
    whole = {
        "email_id": WELCOME, "version": 1, "subject": "Hi {{contact.firstName:default=there}}",
        "from_name": "Acme", "from_address": "hi@acme.example",
        "html": '<body><p>Hello {{contact.firstName}}</p><a href="https://x.example/?a=1&amp;b=2">x</a></body>',
        **changes,
    }  # fmt: skip
    return EmailContent.model_construct(**{"sender": {}, "text": None, **whole})


def a_request(**changes: Any) -> MailRequest:
    whole = {
        "workspace_id": WORKSPACE, "contact_id": CONTACT, "membership_id": UUID(int=21), "hop": 1,
        "step_id": "send", "fields": {"email": "ada@example.com"}, **changes,
    }  # fmt: skip
    return MailRequest(**whole)


def rendered(mail: EmailContent, request: MailRequest | None = None, **fields: Any) -> RenderedMail:
    """Write a mail to Ada, or to somebody with these fields."""
    asked = request or a_request(fields={"email": "ada@example.com", **fields})
    return compile_email(mail).render(asked, LINKS, NOW)


def parsed(mail: RenderedMail) -> EmailMessage:
    """Read a mail as a mail program does."""
    return message_from_bytes(mail.message, policy=policy.default)


def part(message: EmailMessage, kind: str) -> str:
    """Give the text or the HTML, with the line ends of this program."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
