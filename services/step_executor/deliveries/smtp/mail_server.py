"""Handing mails to a mail server, over connections that are kept."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from services.step_executor.deliveries.smtp.connecting import Connector
from services.step_executor.deliveries.smtp.connection import ConnectionGone, SmtpConnection
from services.step_executor.deliveries.smtp.replies import NotSmtp, Reply
from services.step_executor.settings import Settings
from services.step_executor.store.rendered_mail import RenderedMail

_IDLE_SECONDS = 30.0
_LIFE_SECONDS = 300.0
"""Servers close connections that are silent or old, often without a word."""
_LONGEST_REASON = 500
_GONE = ("unreachable", "interrupted")
_SERVER_TROUBLE = (ConnectionGone, NotSmtp, OSError, TimeoutError)

Outcome = Literal["sent", "failed", "retry", "unreachable", "interrupted", "ambiguous", "withdrawn"]
BeforeData = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Answer:
    """How handing a mail over ended.

    `sent`: the server has it.
    `failed`: this mail or recipient is refused for good.
    `retry`: this mail is refused for now.
    `unreachable`: the server is down, or lets us in no more; nothing was handed over.
    `interrupted`: the server left us before the end of the message went out, or wanted us to log in
        or encrypt first, so nothing was handed over. Every mail may meet this, or this one alone.
    `ambiguous`: the end of the message went out, but no answer came: it may have arrived.
    `withdrawn`: it was called back before its end went out.
    """

    outcome: Outcome
    reason: str | None = None


@dataclass(slots=True)
class _Attempt:
    """How far handing over has come: this decides what an error means."""

    stage: Literal["connecting", "envelope", "body", "asking", "data"] = "connecting"
    connection: SmtpConnection | None = None
    reused: bool = False


class MailServer:
    """A mail server, and the idle connections to it."""

    def __init__(self, settings: Settings) -> None:
        self._connector = Connector(settings)
        self._settings = settings
        self._idle: list[SmtpConnection] = []
        self._total_seconds = (
            settings.smtp_connect_timeout_seconds
            + 5 * settings.smtp_timeout_seconds
            + 2 * settings.smtp_data_timeout_seconds
        )

    async def hand_over(self, mail: RenderedMail, before_data: BeforeData | None = None) -> Answer:
        """Hand a mail over; what goes wrong becomes an answer, never an exception.

        Args:
            mail: The mail.
            before_data: Asked at the last moment at which nothing was handed over yet; if it says
                no, nothing will be.
        """
        attempt = _Attempt()
        answer = await self._try(attempt, mail, before_data)
        if attempt.reused and attempt.stage == "envelope" and answer.outcome in _GONE:
            self._leave_idle()  # they are as old; whether the server is there, a new one tells
            answer = await self._try(_Attempt(), mail, before_data)
        return answer

    async def _try(
        self, attempt: _Attempt, mail: RenderedMail, before_data: BeforeData | None
    ) -> Answer:
        answer = Answer("ambiguous", "cancelled")
        try:
            async with asyncio.timeout(self._total_seconds):
                answer = await self._steps(attempt, mail, before_data)
        except Exception as error:  # noqa: BLE001  (whatever one mail does, the next is sent)
            if attempt.connection is not None:
                attempt.connection.abort()
            answer = _broken(attempt, error)
        finally:
            self._keep_or_drop(attempt.connection, answer)
        return answer

    async def _steps(
        self, attempt: _Attempt, mail: RenderedMail, before_data: BeforeData | None
    ) -> Answer:
        connection, attempt.reused = await self._connection()
        attempt.connection, attempt.stage = connection, "envelope"
        if mail.needs_smtputf8 and not connection.knows_smtputf8:
            return Answer("failed", "the mail server does not take international addresses")
        settings = self._settings
        reply = await connection.envelope(mail, settings.smtp_timeout_seconds)
        if not reply.wants_data:
            return _refused(reply)
        attempt.stage = "body"
        end = await connection.body(mail.message, settings.smtp_data_timeout_seconds)
        if before_data is not None:
            attempt.stage = "asking"
            if not await before_data():
                return Answer("withdrawn")
            attempt.stage = "body"
        connection.must_be_open()
        attempt.stage = "data"
        reply = await connection.finish(end, settings.smtp_data_timeout_seconds)
        return Answer("sent", str(reply)) if reply.is_yes else _refused(reply)

    async def _connection(self) -> tuple[SmtpConnection, bool]:
        """Take an idle connection that is still good, the last used first, or make one."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            young = now - connection.opened_at < _LIFE_SECONDS
            if connection.is_fit and young and now - connection.used_at < _IDLE_SECONDS:
                return connection, True
            connection.leave()
        return await self._connector.connect(), False

    def _keep_or_drop(self, connection: SmtpConnection | None, answer: Answer) -> None:
        if connection is None:
            return
        usable = connection.is_fit and answer.outcome in {"sent", "failed", "retry"}
        if usable and len(self._idle) < self._settings.deliveries_at_once:
            self._idle.append(connection)
        elif usable:
            connection.leave()
        else:
            connection.abort()

    def _leave_idle(self) -> None:
        for connection in self._idle:
            connection.leave()
        self._idle.clear()

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        self._leave_idle()


def _refused(reply: Reply) -> Answer:
    if reply.is_goodbye or reply.wants_others:
        return Answer("interrupted", str(reply))
    if reply.is_no_for_now:
        return Answer("retry", str(reply))
    if reply.is_no_for_good:
        return Answer("failed", str(reply))
    raise NotSmtp(f"not an answer to this: {reply}")


def _broken(attempt: _Attempt, error: Exception) -> Answer:
    reason = repr(error)[:_LONGEST_REASON]
    if attempt.stage == "connecting":
        return Answer("unreachable", reason)
    if attempt.stage == "asking":
        return Answer("withdrawn", reason)
    if attempt.stage == "data":
        return Answer("ambiguous", reason)
    return Answer("interrupted" if isinstance(error, _SERVER_TROUBLE) else "failed", reason)
