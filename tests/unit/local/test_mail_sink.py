import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import httpx
import pytest

from libs.local import mail_sink, smtp_server
from libs.local.mail_sink import Fault, Mailbox, message_id, parse, web
from libs.local.ports import HOST
from libs.local.smtp_server import Answer, SmtpConnection

BEGIN = "EHLO me\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n"
Say = Callable[..., Awaitable[list[str]]]


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


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (a_mail("<7@millrace>"), "<7@millrace>"),
        (b"message-id:<7@millrace>\nSubject: x\n\nhi", "<7@millrace>"),
        (b"Subject: x\r\nMessage-ID:\r\n <7@millrace>\r\nDate: y\r\n\r\nhi", "<7@millrace>"),
        (b"Subject: x\r\n\r\nMessage-ID: <7@millrace>\r\n", ""),
        (b"X-Message-ID: <7@millrace>\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_the_id_is_found_without_reading_the_mail(content: bytes, expected: str) -> None:
    assert message_id(content) == expected


def test_a_mail_is_read_once_and_only_when_looked_at(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def count(sender: str, recipients: Sequence[str], content: bytes) -> dict[str, Any]:
        read.append(content)
        return parse(sender, recipients, content)

    monkeypatch.setattr(mail_sink, "parse", count)
    mail = a_mail()
    mailbox.take("from@x.test", ["ada@x.test"], mail)
    assert read == []
    assert mailbox.mails == mailbox.mails
    assert read == [mail]


def test_a_repeat_for_the_same_recipient_is_accepted_and_counted_not_listed(
    mailbox: Mailbox,
) -> None:
    answers = [mailbox.take("from@x.test", ["ada@x.test"], a_mail()) for _ in range(3)]
    assert [answer.reply for answer in answers] == ["250 OK"] * 3
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
    assert [answer.reply for answer in answers] == ["451 try later", "451 try later", "250 OK"]
    assert len(mailbox.mails) == 1
    assert mailbox.repeats == 0


def test_a_fault_for_one_recipient_leaves_others_alone(mailbox: Mailbox) -> None:
    mailbox.faults.append(Fault("550 no such user", 1, "alan@x.test"))
    assert mailbox.take("from@x.test", ["ada@x.test"], a_mail()).reply == "250 OK"
    assert mailbox.take("from@x.test", ["alan@x.test"], a_mail()).reply == "550 no such user"


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
    assert mailbox.take("from@x.test", ["ada@x.test"], a_mail()).reply == "451 try later"
    for nonsense in (
        {"times": 1},
        {"times": "often", "drop": True},
        {"times": 1, "drop": True, "reply": "451 try later"},
        {"times": 1, "delay_seconds": "long"},
        ["drop"],
    ):
        assert (await http.put("/faults", json=nonsense)).status_code == 400


async def test_every_hand_over_is_counted_the_repeats_as_well(
    mailbox: Mailbox, http: httpx.AsyncClient
) -> None:
    mailbox.take("from@x.test", ["ada@x.test"], a_mail())
    mailbox.take("from@x.test", ["alan@x.test"], a_mail("<2@millrace>"))
    mailbox.take("from@x.test", ["ada@x.test"], a_mail())
    mailbox.faults.append(Fault("451 try later", 1))
    mailbox.take("from@x.test", ["ada@x.test"], a_mail())
    assert (await http.get("/count")).json() == {"mails": 2, "handed_over": 3}
    first, second = ["<1@millrace>", "ada@x.test"], ["<2@millrace>", "alan@x.test"]
    assert (await http.get("/raw")).json() == [first, second, first]
    await http.delete("/")
    assert (await http.get("/count")).json() == {"mails": 0, "handed_over": 0}
    assert (await http.get("/raw")).json() == []


async def test_a_dropped_or_late_mail_was_accepted(
    mailbox: Mailbox, http: httpx.AsyncClient
) -> None:
    for fault in ({"drop": True}, {"delay_seconds": 2}, {"delay_seconds": 2, "reply": "451 no"}):
        answer = await http.put("/faults", json={"times": 1, **fault})
        assert answer.status_code == 204, answer.text
    answers = [mailbox.take("from@x.test", ["ada@x.test"], a_mail()) for _ in range(4)]
    assert answers == [
        Answer("250 OK", drop=True),
        Answer("250 OK", delay_seconds=2),
        Answer("451 no", delay_seconds=2),
        Answer("250 OK"),
    ]
    assert (await http.get("/count")).json() == {"mails": 1, "handed_over": 3}


# SMTP, spoken over a real connection on the loopback address -----------------------------------


@dataclass
class Postman:
    answers: list[Answer] = field(default_factory=list)
    taken: list[tuple[str, list[str], bytes]] = field(default_factory=list)

    def receive(self, sender: str, recipients: Sequence[str], content: bytes) -> Answer:
        self.taken.append((sender, list(recipients), content))
        return self.answers.pop(0) if self.answers else Answer("250 OK")


@pytest.fixture
def postman() -> Postman:
    return Postman()


@pytest.fixture
async def port(postman: Postman) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SmtpConnection(postman.receive), HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[aiosmtplib.SMTP]:
    client = aiosmtplib.SMTP(hostname=HOST, port=port, timeout=10, start_tls=False)
    await client.connect()
    yield client
    client.close()


@pytest.fixture
async def say(port: int) -> AsyncIterator[Say]:
    """Send text in one go or in pieces, close our side, and give the codes that came back."""
    reader, writer = await asyncio.open_connection(HOST, port)

    async def spoken(*pieces: str | bytes) -> list[str]:
        for piece in pieces:
            writer.write(piece if isinstance(piece, bytes) else piece.encode())
            await writer.drain()
            await asyncio.wait_for(_nothing(), 1)
        if "QUIT" not in str(pieces):  # which closes the connection itself
            writer.write_eof()
        heard = await asyncio.wait_for(reader.read(), 10)
        return [line[:4] for line in heard.decode().splitlines() if line[3] == " "]

    yield spoken
    writer.close()


async def _nothing() -> None:
    """Let the other side read what was written so far."""
    for _ in range(10):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future


async def test_a_client_hands_mails_over_on_one_connection(port: int, postman: Postman) -> None:
    async with connected(port) as client:
        assert {"pipelining", "size", "8bitmime", "smtputf8"} <= (await _extensions(client))
        for number in range(3):
            await client.sendmail("a@x.test", ["b@x.test", "c@x.test"], f"{number}\r\n".encode())
        await client.quit()
    recipients = ["b@x.test", "c@x.test"]
    assert postman.taken == [("a@x.test", recipients, f"{n}\r\n".encode()) for n in range(3)]


async def _extensions(client: aiosmtplib.SMTP) -> set[str]:
    await client.ehlo()
    return set(client.esmtp_extensions)


@pytest.mark.parametrize("text", [b".\r\n", b"..\r\n.a\r\n\r\n.\r\n", b"a\r\n.\r\n.b\r\n", b"\r\n"])
async def test_dots_arrive_as_they_were_sent(port: int, postman: Postman, text: bytes) -> None:
    async with connected(port) as client:
        await client.sendmail("a@x.test", ["b@x.test"], text)
    assert postman.taken[0][2] == text


async def test_addresses_may_be_in_any_script(port: int, postman: Postman) -> None:
    async with connected(port) as client:
        await client.sendmail("é@x.test", ["ü@x.test"], "Grüße\r\n".encode(),
                              mail_options=["SMTPUTF8", "BODY=8BITMIME"])  # fmt: skip
    assert postman.taken == [("é@x.test", ["ü@x.test"], "Grüße\r\n".encode())]


async def test_everything_may_come_at_once_or_byte_by_byte(say: Say, postman: Postman) -> None:
    mail = f"{BEGIN}hi\r\n.\r\n"
    codes = await say(mail + mail, *f"{mail}QUIT\r\n")
    assert codes == ["220 ", *["250 ", "250 ", "250 ", "354 ", "250 "] * 3, "221 "]
    assert [content for *_, content in postman.taken] == [b"hi\r\n"] * 3


async def test_an_empty_mail_is_a_mail(say: Say, postman: Postman) -> None:
    assert (await say(f"{BEGIN}.\r\n"))[-1] == "250 "
    assert postman.taken == [("a@x.test", ["b@x.test"], b"")]


async def test_a_dot_between_bare_line_feeds_ends_nothing(say: Say, postman: Postman) -> None:
    await say(f"{BEGIN}a\n.\nMAIL FROM:<evil@x.test>\r\n.\r\n")
    assert postman.taken[0][2] == b"a\n.\nMAIL FROM:<evil@x.test>\r\n"


@pytest.mark.parametrize(
    ("commands", "codes"),
    [
        (["MAIL FROM:<a@x.test>"], ["503 "]),
        (["EHLO me", "RCPT TO:<b@x.test>", "DATA"], ["250 ", "503 ", "503 "]),
        (["HELO me", "MAIL FROM:<>", "MAIL FROM:<a@x.test>"], ["250 ", "250 ", "503 "]),
        (["HELO me", "MAIL TO:<a@x.test>", "mail from: a@x.test"], ["250 ", "501 ", "250 "]),
        (["HELO me", "MAIL FROM:<a@x.test>", "RCPT TO:<>", "RSET", "RCPT TO:<b@x.test>"],
         ["250 ", "250 ", "501 ", "250 ", "503 "]),
        (["HELO me", "MAIL FROM:<a@x.test> SIZE=99999999"], ["250 ", "552 "]),
        (["NOOP", "VRFY a", "STARTTLS", "DANCE", "QUIT", "NOOP"],
         ["250 ", "252 ", "500 ", "500 ", "221 "]),
        (["A" * 5000, "NOOP"], ["500 "]),
    ],
)  # fmt: skip
async def test_commands_in_and_out_of_order(
    say: Say, commands: list[str], codes: list[str]
) -> None:
    assert await say("".join(f"{command}\r\n" for command in commands)) == ["220 ", *codes]


async def test_bytes_that_are_no_text_are_refused(say: Say) -> None:
    assert await say(b"HELO \xff\r\n") == ["220 ", "500 "]


async def test_a_mail_that_is_too_big_is_refused_and_the_next_is_taken(
    say: Say, postman: Postman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_server, "MAX_MAIL_BYTES", 100)
    big = "x" * 200
    codes = await say(BEGIN, big, big, ".\r\n", f"{big}\r\n.\r\n{BEGIN}hi\r\n.\r\n")
    assert codes[4:] == ["354 ", "552 ", "250 ", "250 ", "250 ", "354 ", "250 "]
    assert [content for *_, content in postman.taken] == [b"hi\r\n"]


async def test_a_late_answer_holds_up_its_own_connection_only(port: int, postman: Postman) -> None:
    postman.answers = [Answer("451 late", delay_seconds=0.3)]
    order: list[str] = []

    async def send(name: str) -> None:
        async with connected(port) as client:
            try:
                await client.sendmail("a@x.test", [f"{name}@x.test"], b"hi\r\n")
            except aiosmtplib.SMTPDataError as error:
                assert error.code == 451  # noqa: PT017
            order.append(name)

    slow = asyncio.create_task(send("slow"))
    while not postman.taken:
        await _nothing()
    await send("fast")
    await slow
    assert order == ["fast", "slow"]


async def test_commands_sent_behind_a_late_answer_wait_for_it(say: Say, postman: Postman) -> None:
    postman.answers = [Answer("250 OK", delay_seconds=0.1)]
    assert (await say(f"{BEGIN}hi\r\n.\r\nNOOP\r\nQUIT\r\n"))[-3:] == ["250 ", "250 ", "221 "]


async def test_a_dropped_connection_says_nothing_after_the_whole_mail(
    port: int, postman: Postman
) -> None:
    postman.answers = [Answer("250 OK", drop=True)]
    async with connected(port) as client:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.sendmail("a@x.test", ["b@x.test"], b"hi\r\n")
    assert len(postman.taken) == 1
