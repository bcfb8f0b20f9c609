"""Handing letters to a mail server, over connections that are kept."""

import asyncio
from dataclasses import dataclass
from typing import Literal

import aiosmtplib
from aiosmtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException

from libs.chassis.telemetry.logs import logger
from services.step_executor.settings import Settings
from services.step_executor.store.deliveries import RenderedMail

_PERMANENT = 500
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the mail server said: sent, refused for good, or try again later."""

    outcome: Literal["sent", "failed", "retry"]
    reason: str | None = None


class MailServer:
    """A mail server, and the idle connections to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[aiosmtplib.SMTP] = []

    async def hand_over(self, rendered: RenderedMail) -> Answer:
        """Hand a rendered over; what goes wrong becomes an answer, never an exception."""
        connection: aiosmtplib.SMTP | None = None
        try:
            connection = await self._connection()
            await connection.sendmail(rendered.sender, [rendered.recipient], rendered.message)
        except SMTPRecipientsRefused as error:
            return await self._refused(connection, error.recipients[0].code, str(error))
        except SMTPResponseException as error:
            return await self._refused(connection, error.code, f"{error.code} {error.message}")
        except (SMTPException, OSError, TimeoutError) as error:
            _drop(connection)
            return Answer("retry", repr(error))
        self._idle.append(connection)
        return Answer("sent")

    async def _connection(self) -> aiosmtplib.SMTP:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_connected:
                return connection
        settings = self._settings
        connection = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_timeout_seconds,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        )
        await connection.connect()
        return connection

    async def _refused(self, connection: aiosmtplib.SMTP | None, code: int, reason: str) -> Answer:
        """Tell a refusal for good (5xx) from one for now (4xx); the connection starts afresh."""
        if connection is not None:
            try:
                await connection.rset()
                self._idle.append(connection)
            except (SMTPException, OSError, TimeoutError):
                _drop(connection)
        return Answer("failed" if code >= _PERMANENT else "retry", reason)

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        for connection in self._idle:
            try:
                await asyncio.wait_for(connection.quit(), 2)
            except (SMTPException, OSError, TimeoutError) as error:
                _log.debug("smtp.quit_failed", reason=repr(error))
        self._idle.clear()


def _drop(connection: aiosmtplib.SMTP | None) -> None:
    if connection is not None:
        connection.close()
