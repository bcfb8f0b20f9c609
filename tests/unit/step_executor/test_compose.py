"""Mails as they are written."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import tracking
from libs.contracts.delivery_commands import SendEmail
from libs.contracts.flow_definitions import EmailContent
from services.step_executor.deliveries.compose import CannotCompose, Links, compose
from services.step_executor.deliveries.plain_text import plain_text
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME, WORKSPACE, snapshot

LINKS = Links("https://flows.example", "0123456789abcdef")
KEY = LINKS.signing_key


def command(**changes: Any) -> SendEmail:
    whole = {
        "id": UUID(int=20), "time": NOW, "workspace_id": WORKSPACE, "contact_id": CONTACT,
        "membership_id": UUID(int=21), "hop": 1, "flow_id": FLOW, "step_id": "send",
        "email_id": WELCOME, **changes,
    }  # fmt: skip
    return SendEmail.model_validate(whole)


def content(**changes: Any) -> EmailContent:
    whole = {
        "email_id": WELCOME, "version": 1, "subject": "Hi {{contact.firstName:default=there}}",
        "from_name": "Acme", "from_address": "hi@acme.example",
        "html": '<body><p>Hello {{contact.firstName}}</p><a href="https://x.example/?a=1&amp;b=2">x</a></body>',
        **changes,
    }  # fmt: skip
    return EmailContent.model_validate(whole)


def written(mail: EmailContent, asked: SendEmail | None = None, **fields: Any) -> EmailMessage:
    rendered = compose(mail, asked or command(), snapshot(**fields), LINKS, NOW)
    return message_from_bytes(rendered.message, policy=policy.default)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_the_same_in_gives_the_same_out_and_the_message_id_is_the_key() -> None:
    message = written(content())
    assert message["Message-ID"] == f"<{UUID(int=21)}.1@acme.example>"
    assert written(content())["Message-ID"] == message["Message-ID"]
    assert written(content(), command(hop=2))["Message-ID"] != message["Message-ID"]


def test_links_are_tracked_and_lead_where_they_led() -> None:
    html = part(written(content()), "html")
    token = html.split("/t/c/")[1].split('"')[0]
    mail = tracking.read(token, "c", KEY)
    assert mail.url == "https://x.example/?a=1&b=2"
    assert (mail.contact_id, mail.step_id) == (CONTACT, "send")
    assert "/t/o/" in html
    with pytest.raises(tracking.BadToken):
        tracking.read(token, "u", KEY)
    with pytest.raises(tracking.BadToken):
        tracking.read(token + "x", "c", KEY)


def test_marketing_mail_can_be_unsubscribed_from() -> None:
    message = written(content())
    link = message["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://flows.example/t/u/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in part(message, "html")
    raw = compose(content(), command(), snapshot(), LINKS, NOW).message
    line = next(one for one in raw.split(b"\r\n") if one.startswith(b"List-Unsubscribe:"))
    assert line.endswith(b">"), "the header is on one line and not encoded"
    own = content(html='<a href="{{tented.unsubscribeOneClickLink}}">leave</a>')
    assert part(written(own), "html").count("/t/u/") == 1


def test_operational_mail_carries_none_of_it() -> None:
    message = written(content(), command(operational=True))
    assert message["List-Unsubscribe"] is None
    assert "/t/u/" not in part(message, "html")


def test_what_contacts_say_is_no_markup_and_no_header() -> None:
    message = written(content(), firstName="<b>Bo</b>\r\nBcc: everyone@example.com")
    assert message["Subject"] == "Hi <b>Bo</b> Bcc: everyone@example.com"
    assert message["Bcc"] is None
    assert "&lt;b&gt;Bo&lt;/b&gt;" in part(message, "html")


def test_bad_addresses_are_refused() -> None:
    for address in ("nobody", "a@b@c", "a b@c.example", "a@b.example\r\nBcc: x@y.example"):
        with pytest.raises(CannotCompose):
            written(content(), email=address)


def test_plain_text() -> None:
    html = "<style>p{}</style><h1>Hello &amp; hi</h1><p>One<br>two</p><a href='https://x.y'>go</a>"
    assert plain_text(html) == "Hello & hi\n\nOne\ntwo\ngo <https://x.y>"
