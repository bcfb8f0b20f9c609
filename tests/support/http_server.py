"""An HTTP server that answers as a test tells it to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HANG, DROP, HUGE, DRIP = "hang", "drop", "huge", "drip"
"""Never an answer; the end of the connection; an answer without end; one whose end never comes."""
_HUGE_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpServerFake:
    """What was asked of it, and what it answers to the next requests; afterwards 200.

    An answer is a status line with headers, or one of the words above. What is held `against` a
    path is said each time.
    """

    script: list[str] = field(default_factory=list)
    against: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    sent_bytes: int = 0
    at_once: int = 0
    most_at_once: int = 0
    port: int = 0
    gone: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def answer(self, *answers: str) -> None:
        """Answer so, the next times."""
        self.script.extend(answers)

    def hang_up(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            self.gone += 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n")[0].split(" ")
        pairs = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Request(method, target, headers, body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(target, reader, writer)
        finally:
            self.at_once -= 1

    async def _answer(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        against = [answer for words, answer in self.against.items() if words in target]
        answer = against[0] if against else self.script.pop(0) if self.script else "200 OK"
        if answer == DROP:
            return False
        if answer == HANG:
            await reader.read()
            return False
        if answer in (HUGE, DRIP):
            return await self._without_end(answer, reader, writer)
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nok".encode())
        await writer.drain()
        return True

    async def _without_end(
        self, answer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx")
        if answer == DRIP:
            await reader.read()
        while answer == HUGE:
            writer.write(_HUGE_CHUNK * b"x")
            await writer.drain()
            self.sent_bytes += _HUGE_CHUNK
        return False


@asynccontextmanager
async def http_server(
    port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpServerFake]:
    """Run a server on loopback."""
    fake = HttpServerFake()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", port, limit=2**25, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        yield fake
        fake.hang_up()
