"""Whatever is written into a mail can be read out of it again, and nothing else."""

import re
from email.header import decode_header, make_header
from email.message import EmailMessage
from html import unescape
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from services.step_executor.deliveries.email.compile_email import compile_email
from services.step_executor.store.rendered_mail import CannotCompose
from tests.support.builders import NOW
from tests.support.mails import LINKS, a_mail, a_request, parsed, part, rendered

ANY = st.text(st.characters(), max_size=300)
TEXT = st.text(max_size=300) | st.text("ab =?_\"'\\,;<>@\r\n\t\x00üЖ🎉.", max_size=1500)


def one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def shown_name(message: EmailMessage) -> str:
    """Read a name as RFC 2047 says: the parser of Python 3.11 puts spaces into long ones."""
    raw = next(value for name, value in message.raw_items() if name == "From")
    name = raw.rpartition("<")[0].strip()
    if name.startswith('"'):
        return str(message["From"].addresses[0].display_name)
    return str(make_header(decode_header(name)))


def is_well_formed(message: bytes) -> bool:
    head = message.partition(b"\r\n\r\n")[0].split(b"\r\n")
    every = message.split(b"\r\n")
    return (
        all(re.match(rb"[A-Za-z-]+: |[ \t]\S", line) for line in head)
        and all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in every)
        and b"\x00" not in message
    )


@given(TEXT)
@example("a" * 2000)
@example("=?utf-8?q?no?= " * 3)
@example("ü" * 500)
@example("x\r\nBcc: everyone@example.com\r\n\r\nbody")
def test_subjects(subject: str) -> None:
    mail = rendered(a_mail(subject="{{contact.x}}"), x=subject)
    assert is_well_formed(mail.message)
    assert str(parsed(mail)["Subject"]) == one_line(subject)
    assert len(parsed(mail).keys()) == 9


@given(TEXT)
@example('Acme, "Inc." <b@c.example>')
@example("Ünï, \\ ;:" * 30)
@example("=?utf-8?q?no?=")
def test_names(name: str) -> None:
    mail = rendered(a_mail(from_name="{{contact.x}}"), x=name)
    assert is_well_formed(mail.message)
    message = parsed(mail)
    assert message["From"].addresses[0].addr_spec == "hi@acme.example"
    assert shown_name(message) == re.sub(r"[\x00-\x20\x7f]+", " ", name).strip()


@given(TEXT, TEXT)
def test_texts(literal: str, value: str) -> None:
    mail = rendered(a_mail(text=f"{literal}|{{{{contact.x}}}}|{literal}|\n"), x=value)
    assert is_well_formed(mail.message)
    text = part(parsed(mail), "plain").partition("\nUnsubscribe: ")[0]
    written = lines(literal.replace("\x00", ""))
    assert text == f"{written}|{lines(value)}|{written}|\n"


@given(TEXT)
def test_html(value: str) -> None:
    mail = rendered(a_mail(html=f"<p>{{{{contact.x}}}}</p>{'ж' * (len(value) % 2) * 99}"), x=value)
    assert is_well_formed(mail.message)
    html = part(parsed(mail), "html")
    shown = html.partition("<p>")[2].partition("</p>")[0]
    assert "<" not in shown
    assert unescape(shown) == lines(value)


@given(html=ANY, subject=ANY, name=ANY, preview=ANY, text=st.none() | ANY, value=ANY, address=ANY)
def test_nothing_but_cannot_compose_is_raised(value: str, address: str, **content: Any) -> None:
    tagged = {
        key: text and f"{text}{{{{contact.x}}}}{text}"
        for key, text in content.items()
        if key != "name"
    }
    mail = a_mail(
        html=tagged["html"], subject=tagged["subject"], text=tagged["text"],
        preview_text=tagged["preview"], from_name=content["name"],
    )  # fmt: skip
    skeleton = compile_email(mail)
    for email in ("ada@example.com", address, f"{address}@example.com", f"ada@{address}"):
        request = a_request(fields={"email": email, "x": value}, step_id=value)
        try:
            message = skeleton.render(request, LINKS, NOW).message
        except CannotCompose:
            continue
        assert is_well_formed(message)
