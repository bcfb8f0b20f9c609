"""A mail server that answers as a test tells it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HANG, DROP = "hang", "drop"
"""Instead of an answer: never one, or the end of the connection."""

_USUAL = {
    "CONNECT": "220 fake ready", "EHLO": "250-fake\r\n250-SMTPUTF8\r\n250 8BITMIME",
    "HELO": "250 fake", "MAIL": "250 2.1.0 ok", "RCPT": "250 2.1.5 ok", "DATA": "354 go on",
    "RSET": "250 2.0.0 ok", "QUIT": "221 bye", "MESSAGE": "250 2.0.0 queued",
}  # fmt: skip


@dataclass
class SmtpServerFake:
    """What was asked of it, and what it answers to the next commands.

    `MESSAGE` is the end of a message, `BODY` its first line. What is scripted for a command is
    said once each, in order; afterwards, and otherwise, the usual is said. What is held against a
    line with some words in it is said each time.
    """

    pipelining: bool = True
    script: dict[str, list[str]] = field(default_factory=dict)
    against: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    all_gone: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def hang_up(self) -> None:
        """End all connections."""
        for writer in self._open:
            writer.transport.abort()

    def answer(self, command: str, *answers: str) -> None:
        """Answer a command so, the next times."""
        self.script.setdefault(command, []).extend(answers)

    def count(self, command: str) -> int:
        """How often a command was said."""
        return sum(one.startswith(command) for one in self.said)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self._open.add(writer)
        self.all_gone.clear()
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._open.discard(writer)
            if not self._open:
                self.all_gone.set()


class _Session:
    def __init__(
        self, server: SmtpServerFake, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer

    async def run(self) -> None:
        going = await self._answer("CONNECT")
        while going and (line := await self._reader.readline()):
            said = line.decode(errors="replace").rstrip("\r\n")
            self._server.said.append(said)
            command = said.partition(" ")[0].upper()
            going = await self._answer(command, said) and command != "QUIT"
            if going is True and command == "DATA" and self._last.startswith("354"):
                going = await self._message()

    async def _message(self) -> bool:
        if "BODY" in self._server.script:
            await self._reader.readline()
            if not await self._answer("BODY"):
                return False
        content = await self._reader.readuntil(b"\r\n.\r\n")
        self._server.messages.append(content)
        return await self._answer("MESSAGE")

    async def _answer(self, command: str, said: str = "") -> bool:
        """Answer; False at the end of the connection."""
        scripted = self._server.script.get(command)
        against = [answer for words, answer in self._server.against.items() if words in said]
        usual = against[0] if against else _USUAL.get(command, "502 5.5.1 what?")
        self._last = scripted.pop(0) if scripted else usual
        self._server.heard.set()
        if self._last == DROP:
            return False
        if self._last == HANG:
            await self._reader.read()  # until the other side gives up
            return False
        if command == "EHLO" and self._server.pipelining:
            self._last = self._last.replace("250-SMTPUTF8", "250-PIPELINING\r\n250-SMTPUTF8")
        self._writer.write(f"{self._last}\r\n".encode())
        await self._writer.drain()
        return not self._last.startswith("421")


@asynccontextmanager
async def smtp_server(*, pipelining: bool = True, port: int = 0) -> AsyncIterator[SmtpServerFake]:
    """Run a mail server on loopback."""
    fake = SmtpServerFake(pipelining)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", port, limit=2**25)
    fake.all_gone.set()
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        yield fake
        fake.hang_up()
        await fake.all_gone.wait()
