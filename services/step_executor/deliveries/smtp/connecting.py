"""Making connections to the mail server: name, port, encryption, login."""

import asyncio
import ssl
from typing import cast

import aiosmtplib
from aiosmtplib import SMTPHeloError

from services.step_executor.deliveries.smtp.connection import ConnectionGone, SmtpConnection
from services.step_executor.settings import Settings


class Connector:
    """Makes connections as the settings say; what does not change is found out once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own_name: str | None = None
        self._tls: ssl.SSLContext | None = None

    async def connect(self) -> SmtpConnection:
        """Connect, encrypt, log in; then take the connection over."""
        client = await self._client()
        try:
            await client.connect(timeout=self._settings.smtp_connect_timeout_seconds)
            await _greet(client)
        except BaseException:
            client.close()
            raise
        if client.transport is None:
            raise ConnectionGone("connection closed by the server")
        self._own_name = client.local_hostname
        transport = cast("asyncio.Transport", client.transport)
        return SmtpConnection(transport, client.esmtp_extensions)

    async def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        if settings.smtp_tls != "none" and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            local_hostname=self._own_name,
            timeout=settings.smtp_timeout_seconds,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            tls_context=self._tls,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        )


async def _greet(client: aiosmtplib.SMTP) -> None:
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except SMTPHeloError:
            await client.helo()  # a server from before 1995
