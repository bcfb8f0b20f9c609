"""Handing mails over: whatever a server does, there is an answer, and it is the right one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.step_executor.deliveries.smtp import mail_server
from services.step_executor.deliveries.smtp.connection import SmtpConnection
from services.step_executor.deliveries.smtp.mail_server import Answer, MailServer
from services.step_executor.settings import Settings
from services.step_executor.store.rendered_mail import RenderedMail
from tests.support.smtp_server import DROP, HANG, SmtpServerFake, smtp_server

MAIL = RenderedMail("hi@acme.example", "ada@example.com", b"Subject: x\r\n\r\n.hidden\r\nText\r\n")
SHORT = 0.05


def settings(port: int, **changes: Any) -> Settings:
    whole = {
        "DATABASE_URL": "postgresql://localhost/x", "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "public_url": "https://flows.example", "signing_key": "0123456789abcdef",
        "smtp_host": "127.0.0.1", "smtp_port": port, **changes,
    }  # fmt: skip
    return Settings.model_validate(whole)


@asynccontextmanager
async def both(
    *, pipelining: bool = True, **changes: Any
) -> AsyncIterator[tuple[SmtpServerFake, MailServer]]:
    """Run a fake, and what talks to it."""
    async with smtp_server(pipelining=pipelining) as fake:
        server = MailServer(settings(fake.port, **changes))
        yield fake, server
        await server.close()


@pytest.fixture(params=[True, False], ids=["pipelining", "one by one"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[SmtpServerFake, MailServer]]:
    async with both(pipelining=request.param) as opened:
        yield opened


Pair = tuple[SmtpServerFake, MailServer]


def saying(answer: bool) -> Callable[[], Awaitable[bool]]:
    async def before_data() -> bool:
        return answer

    return before_data


async def test_a_mail_is_sent_as_it_is(pair: Pair) -> None:
    fake, server = pair
    assert await server.hand_over(MAIL) == Answer("sent", "250 2.0.0 queued")
    assert fake.messages == [b"Subject: x\r\n\r\n..hidden\r\nText\r\n.\r\n"]
    assert fake.said[1:] == [
        "MAIL FROM:<hi@acme.example>", "RCPT TO:<ada@example.com>", "DATA"
    ]  # fmt: skip


async def test_connections_are_kept(pair: Pair) -> None:
    fake, server = pair
    for _ in range(5):
        assert (await server.hand_over(MAIL)).outcome == "sent"
    assert fake.connections == 1
    assert fake.count("RSET") == 0
    await asyncio.gather(*(server.hand_over(MAIL) for _ in range(3)))
    assert len(fake.messages) == 8
    assert fake.connections <= 3


async def test_no_more_connections_are_kept_than_are_used_at_once() -> None:
    async with both(deliveries_at_once=1) as (fake, server):
        await asyncio.gather(*(server.hand_over(MAIL) for _ in range(3)))
        opened = fake.connections
        await asyncio.gather(*(server.hand_over(MAIL) for _ in range(2)))
        assert fake.connections >= opened + 1


@pytest.mark.parametrize("limit", ["_IDLE_SECONDS", "_LIFE_SECONDS"])
async def test_old_connections_are_left(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(mail_server, limit, 0.0)
    async with both() as (fake, server):
        for _ in range(3):
            assert (await server.hand_over(MAIL)).outcome == "sent"
        assert fake.connections == 3


@pytest.mark.parametrize(
    ("command", "reply", "outcome"),
    [
        ("RCPT", "550 5.1.1 no such user", "failed"),
        ("RCPT", "450 4.2.1 later", "retry"),
        ("RCPT", "550-5.1.1 no\r\n550 5.1.1 such user", "failed"),
        ("MAIL", "553 5.1.8 bad sender", "failed"),
        ("MAIL", "451 4.3.0 busy", "retry"),
        ("DATA", "451 4.3.0 busy", "retry"),
        ("DATA", "554 5.7.1 no", "failed"),
        ("MESSAGE", "552 5.3.4 too big", "failed"),
        ("MESSAGE", "452 4.3.1 disk full", "retry"),
    ],
)
async def test_a_refusal_is_of_this_mail_only(
    pair: Pair, command: str, reply: str, outcome: str
) -> None:
    fake, server = pair
    fake.answer(command, reply)
    answer = await server.hand_over(MAIL)
    assert answer.outcome == outcome
    assert answer.reason is not None
    assert answer.reason.startswith(reply[:3])
    assert answer.reason.endswith(reply[-4:])
    fake.messages.clear()
    assert (await server.hand_over(MAIL)).outcome == "sent"
    assert len(fake.messages) == 1


async def test_a_refusal_before_the_end_of_the_connection_counts() -> None:
    async with both() as (fake, server):
        fake.answer("MAIL", "554 5.7.1 never")
        fake.answer("RCPT", DROP)
        assert await server.hand_over(MAIL) == Answer("failed", "554 5.7.1 never")


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("CONNECT", "554 go away"),
        ("CONNECT", "421 busy"),
        ("CONNECT", DROP),
        ("CONNECT", "SSH-2.0-OpenSSH"),
        ("EHLO", "421 busy"),
        ("EHLO", DROP),
        ("MAIL", "421 4.3.2 shutting down"),
        ("MAIL", "530 5.7.0 log in first"),
        ("RCPT", "535 5.7.8 not you"),
        ("MAIL", DROP),
        ("MAIL", "what?"),
        ("MAIL", "250-x\r\n" * 20_000 + "250-x"),
        ("RCPT", "421 4.3.2 shutting down"),
        ("RCPT", DROP),
        ("DATA", DROP),
        ("DATA", "421 4.3.2 shutting down"),
        ("MESSAGE", "421 4.3.2 shutting down"),
    ],
)
async def test_a_server_in_trouble_has_taken_nothing(pair: Pair, command: str, reply: str) -> None:
    fake, server = pair
    fake.answer(command, reply)
    answer = await server.hand_over(MAIL)
    before_us = command in ("CONNECT", "EHLO")
    assert answer.outcome == ("unreachable" if before_us else "interrupted")
    assert answer.reason
    assert (await server.hand_over(MAIL)).outcome == "sent"


async def test_no_server() -> None:
    async with smtp_server() as fake:
        port = fake.port
    assert (await MailServer(settings(port)).hand_over(MAIL)).outcome == "unreachable"
    nowhere = settings(port, smtp_host="no-such-host.invalid", smtp_connect_timeout_seconds=1)
    assert (await MailServer(nowhere).hand_over(MAIL)).outcome == "unreachable"
    odd = settings(port, smtp_host="a" * 300 + "\u0600..")
    assert (await MailServer(odd).hand_over(MAIL)).outcome == "unreachable"


@pytest.mark.parametrize("reply", [DROP, "what?", "354 more"])
async def test_without_an_answer_to_the_message_it_may_have_arrived(pair: Pair, reply: str) -> None:
    fake, server = pair
    fake.answer("MESSAGE", reply)
    assert (await server.hand_over(MAIL)).outcome == "ambiguous"
    assert len(fake.messages) == 1
    assert (await server.hand_over(MAIL)).outcome == "sent"


@pytest.mark.parametrize(
    ("command", "limit", "outcome"),
    [
        ("CONNECT", "smtp_connect_timeout_seconds", "unreachable"),
        ("EHLO", "smtp_timeout_seconds", "unreachable"),
        ("MAIL", "smtp_timeout_seconds", "interrupted"),
        ("RCPT", "smtp_timeout_seconds", "interrupted"),
        ("DATA", "smtp_timeout_seconds", "interrupted"),
        ("MESSAGE", "smtp_data_timeout_seconds", "ambiguous"),
    ],
)
async def test_every_stage_has_a_limit(command: str, limit: str, outcome: str) -> None:
    async with both(pipelining=True, **{limit: SHORT}) as (fake, server):
        fake.answer(command, HANG)
        assert (await server.hand_over(MAIL)).outcome == outcome


async def test_the_whole_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async with both() as (fake, server):
        monkeypatch.setattr(server, "_total_seconds", SHORT)
        fake.answer("RCPT", HANG)
        assert (await server.hand_over(MAIL)).outcome == "interrupted"


async def test_a_kept_connection_that_broke_is_replaced_at_once(pair: Pair) -> None:
    fake, server = pair
    for trouble in (DROP, "421 4.7.0 too many mails", "421 4.4.2 timeout"):
        assert (await server.hand_over(MAIL)).outcome == "sent"
        fake.answer("MAIL", trouble)
        assert (await server.hand_over(MAIL)).outcome == "sent"
    assert len(fake.messages) == 6


async def test_asked_at_the_last_moment_a_mail_can_be_withdrawn(pair: Pair) -> None:
    fake, server = pair
    assert await server.hand_over(MAIL, saying(False)) == Answer("withdrawn")
    assert fake.said[-1] == "DATA"
    assert fake.messages == []
    assert (await server.hand_over(MAIL, saying(True))).outcome == "sent"
    assert len(fake.messages) == 1


async def test_who_cannot_be_asked_has_not_agreed(pair: Pair) -> None:
    fake, server = pair

    async def fails() -> bool:
        raise OSError("the database is away")

    answer = await server.hand_over(MAIL, fails)
    assert answer == Answer("withdrawn", "OSError('the database is away')")
    assert fake.messages == []


async def test_it_is_asked_once_and_only_if_the_mail_would_go_out(pair: Pair) -> None:
    fake, server = pair
    asked = 0

    async def count() -> bool:
        nonlocal asked
        asked += 1
        return True

    fake.answer("RCPT", "550 no")
    await server.hand_over(MAIL, count)
    assert asked == 0
    await server.hand_over(MAIL, count)
    assert asked == 1


async def test_a_connection_lost_while_asking_is_noticed_before_anything_goes_out() -> None:
    async with both() as (fake, server):

        async def slow() -> bool:
            fake.hang_up()
            await asyncio.wait_for(fake.all_gone.wait(), 10)
            return True

        assert (await server.hand_over(MAIL, slow)).outcome == "interrupted"
        assert fake.messages == []


async def test_a_large_message_without_its_end_is_nothing() -> None:
    large = RenderedMail(MAIL.sender, MAIL.recipient, b"Subject: x\r\n\r\n" + b"y" * 20_000_000)
    async with both() as (fake, server):
        fake.answer("BODY", DROP)
        assert (await server.hand_over(large)).outcome == "interrupted"
    async with both() as (fake, server):
        fake.answer("BODY", "552 5.3.4 too big")
        assert await server.hand_over(large) == Answer("failed", "552 5.3.4 too big")
    async with both(smtp_data_timeout_seconds=SHORT) as (fake, server):
        fake.answer("BODY", HANG)
        assert (await server.hand_over(large)).outcome in {"interrupted", "ambiguous"}
    async with both() as (fake, server):
        assert (await server.hand_over(large)).outcome == "sent"
        assert fake.messages == [large.message + b"\r\n.\r\n"]


async def test_international_addresses_need_a_server_that_knows_them() -> None:
    mail = RenderedMail("hi@acme.example", "jürgen@example.com", MAIL.message)
    async with both() as (fake, server):
        assert (await server.hand_over(mail)).outcome == "sent"
        assert "MAIL FROM:<hi@acme.example> BODY=8BITMIME SMTPUTF8" in fake.said
        assert "RCPT TO:<jürgen@example.com>" in fake.said
    async with both() as (fake, server):
        fake.answer("EHLO", "250 fake")
        answer = await server.hand_over(mail)
        assert answer.outcome == "failed"
        assert "international" in (answer.reason or "")
        assert (await server.hand_over(MAIL)).outcome == "sent"


@pytest.mark.parametrize("address", ["a@b.example>\r\nRCPT TO:<c@d.example", "\udc80@b.example"])
async def test_what_is_no_address_never_reaches_the_server(address: str) -> None:
    async with both() as (fake, server):
        assert (await server.hand_over(RenderedMail(address, "a@b.c", b"x"))).outcome == "failed"
        assert (await server.hand_over(RenderedMail("a@b.c", address, b"x"))).outcome == "failed"
        assert fake.count("MAIL") == fake.count("RCPT") == 0


@pytest.mark.parametrize("error", [ValueError("x"), AssertionError("x"), IndexError("x")])
async def test_whatever_is_raised_becomes_an_answer(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def breaks(*_: object) -> None:
        raise error

    for stage, outcome in (("envelope", "failed"), ("body", "failed"), ("finish", "ambiguous")):
        async with both() as (_, server):
            with monkeypatch.context() as patched:
                patched.setattr(SmtpConnection, stage, breaks)
                assert await server.hand_over(MAIL) == Answer(outcome, repr(error))  # type: ignore[arg-type]
            assert (await server.hand_over(MAIL)).outcome == "sent"


async def test_a_cancelled_attempt_keeps_no_connection() -> None:
    async with both() as (fake, server):
        fake.answer("RCPT", HANG)
        attempt = asyncio.create_task(server.hand_over(MAIL))
        while fake.count("RCPT") == 0:
            fake.heard.clear()
            await fake.heard.wait()
        attempt.cancel()
        await asyncio.wait([attempt])
        assert attempt.cancelled()
        assert (await server.hand_over(MAIL)).outcome == "sent"
        assert fake.connections == 2


async def test_closing_says_goodbye(pair: Pair) -> None:
    fake, server = pair
    await server.hand_over(MAIL)
    await server.close()
    await asyncio.wait_for(fake.all_gone.wait(), 10)
    assert fake.said[-1] == "QUIT"
