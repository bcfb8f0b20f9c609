from collections.abc import AsyncIterator
from email.message import EmailMessage

import httpx
import pytest

from libs.local.mail_sink import Fault, Mailbox, parse, web


def a_mail(message_id: str = "<1@millrace>", subject: str = "Hello") -> bytes:
    mail = EmailMessage()
    mail["Subject"] = subject
    mail["Message-ID"] = message_id
    mail["List-Unsubscribe"] = "<http://millrace.test/u>"
    mail.set_content("Grüße")
    mail.add_alternative("<p>Grüße</p>", subtype="html")
    return mail.as_bytes()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def http(mailbox: Mailbox) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web(mailbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://sink") as client:
        yield client


def test_a_mail_is_shown_decoded() -> None:
    shown = parse("from@x.test", ["ada@x.test"], a_mail(subject="Grüße"))
    assert (shown["from"], shown["to"]) == ("from@x.test", ["ada@x.test"])
    assert shown["subject"] == "Grüße"
    assert shown["headers"]["List-Unsubscribe"] == "<http://millrace.test/u>"
    assert shown["text"].strip() == "Grüße"
    assert shown["html"].strip() == "<p>Grüße</p>"


@pytest.mark.parametrize(
    "content", [b"", b"no headers at all", b"Content-Type: text/plain; charset=none\r\n\r\nhi \xff"]
)
def test_a_broken_mail_is_shown_as_well_as_it_can_be(content: bytes) -> None:
    shown = parse("from@x.test", ["ada@x.test"], content)
    assert (shown["subject"], shown["html"]) == ("", None)


def test_a_repeat_for_the_same_recipient_is_accepted_and_counted_not_listed(
    mailbox: Mailbox,
) -> None:
    answers = [mailbox.take("from@x.test", ["ada@x.test"], a_mail()) for _ in range(3)]
    assert answers == ["250 OK"] * 3
    assert [mail["repeats"] for mail in mailbox.mails] == [2]
    assert mailbox.repeats == 2


def test_another_recipient_or_another_id_is_no_repeat(mailbox: Mailbox) -> None:
    mailbox.take("from@x.test", ["ada@x.test"], a_mail())
    mailbox.take("from@x.test", ["alan@x.test"], a_mail())
    mailbox.take("from@x.test", ["ada@x.test"], a_mail("<2@millrace>"))
    assert len(mailbox.mails) == 3
    assert mailbox.repeats == 0


def test_the_header_counts_however_it_is_written(mailbox: Mailbox) -> None:
    for name in (b"Message-ID", b"Message-Id"):
        mailbox.take("from@x.test", ["ada@x.test"], name + b": <1@millrace>\r\n\r\nhi")
    assert mailbox.repeats == 1


def test_mails_without_an_id_are_never_repeats(mailbox: Mailbox) -> None:
    for _ in range(2):
        mailbox.take("from@x.test", ["ada@x.test"], b"Subject: x\r\n\r\nhi")
    assert len(mailbox.mails) == 2


def test_a_fault_is_answered_as_often_as_was_asked(mailbox: Mailbox) -> None:
    mailbox.faults.append(Fault("451 try later", 2))
    answers = [mailbox.take("from@x.test", ["ada@x.test"], a_mail()) for _ in range(3)]
    assert answers == ["451 try later", "451 try later", "250 OK"]
    assert len(mailbox.mails) == 1
    assert mailbox.repeats == 0


def test_a_fault_for_one_recipient_leaves_others_alone(mailbox: Mailbox) -> None:
    mailbox.faults.append(Fault("550 no such user", 1, "alan@x.test"))
    assert mailbox.take("from@x.test", ["ada@x.test"], a_mail()) == "250 OK"
    assert mailbox.take("from@x.test", ["alan@x.test"], a_mail()) == "550 no such user"


async def test_mails_are_listed_in_order_over_http_and_forgotten_when_told(
    mailbox: Mailbox, http: httpx.AsyncClient
) -> None:
    for number in range(20):
        mailbox.take("from@x.test", ["ada@x.test"], a_mail(f"<{number}@millrace>", str(number)))
    mailbox.take("from@x.test", ["ada@x.test"], a_mail("<3@millrace>"))
    assert [mail["subject"] for mail in (await http.get("/")).json()] == [str(n) for n in range(20)]
    assert (await http.get("/repeats")).json() == {"repeats": 1}
    assert (await http.delete("/")).status_code == 204
    assert (await http.get("/")).json() == []
    assert (await http.get("/repeats")).json() == {"repeats": 0}


async def test_faults_are_set_over_http_and_nonsense_is_refused(
    mailbox: Mailbox, http: httpx.AsyncClient
) -> None:
    assert (
        await http.put("/faults", json={"reply": "451 try later", "times": 1})
    ).status_code == 204
    assert (await http.put("/faults", json={"reply": "451 try later"})).status_code == 400
    assert (await http.put("/faults", content=b"{")).status_code == 400
    assert mailbox.take("from@x.test", ["ada@x.test"], a_mail()) == "451 try later"
