"""One connection to a mail server, over which mails go one after another.

aiosmtplib makes the connection: it connects, encrypts and logs in. From then on the transport is
ours, because a mail may then take one write and one read less for every command: a server that
offers PIPELINING (RFC 2920) gets MAIL, RCPT and DATA together.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from services.step_executor.deliveries.smtp.replies import NotSmtp, Reply, ReplyReader
from services.step_executor.store.rendered_mail import RenderedMail

_WRITTEN_AT_ONCE = 65_536


class ConnectionGone(Exception):  # noqa: N818  (it is the server's)
    """The connection to the mail server was lost."""


class SmtpConnection(asyncio.Protocol):
    """A connection that is greeted, encrypted and logged in."""

    def __init__(self, transport: asyncio.Transport, extensions: Mapping[str, str]) -> None:
        self._transport = transport
        self._pipelining = "pipelining" in extensions
        self.knows_smtputf8 = "smtputf8" in extensions
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._lost: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._paused = False
        self._half_done = False
        self.opened_at = self.used_at = asyncio.get_running_loop().time()
        transport.set_protocol(self)

    @property
    def is_fit(self) -> bool:
        """Whether it can take a mail: it is open, and the server said nothing unasked."""
        closing = self._lost is not None or self._transport.is_closing()
        return not closing and not self._replies and self._reader.is_empty

    async def envelope(self, mail: RenderedMail, seconds: float) -> Reply:
        """Say from whom and to whom; give the answer that is not yes, else the one to DATA."""
        begin = [b"RSET\r\n"] if self._half_done else []
        self._half_done = True
        ask = self._together if self._pipelining else self._in_turn
        replies = await ask([*begin, *_envelope(mail)], seconds)
        if begin and not replies.pop(0).is_yes:
            raise ConnectionGone("the connection cannot be used again")
        refusal = next((one for one in replies if not (one.is_yes or one.wants_data)), None)
        if refusal is not None and replies[-1].wants_data:
            self.abort()  # it waits for a message to nobody
        return refusal or replies[-1]

    async def _together(self, commands: Sequence[bytes], seconds: float) -> list[Reply]:
        self._write(b"".join(commands))
        replies: list[Reply] = []
        for _ in commands:
            try:
                replies.append(await self._reply(seconds))
            except ConnectionGone:
                if not replies or replies[-1].is_yes:
                    raise
                break  # a refusal, after which the server wanted no more of us
        return replies

    async def _in_turn(self, commands: Sequence[bytes], seconds: float) -> list[Reply]:
        replies: list[Reply] = []
        for command in commands:
            self._write(command)
            replies.append(await self._reply(seconds))
            if not (replies[-1].is_yes or replies[-1].wants_data):
                break
        return replies

    async def body(self, message: bytes, seconds: float) -> bytes:
        """Write a large message but for its end, which is returned: until then nothing was sent."""
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        end = b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
        if len(stuffed) <= _WRITTEN_AT_ONCE:
            return stuffed + end
        self._write(stuffed)
        await asyncio.sleep(0)  # the loop tells only now whether it could write all of it
        if self._paused:
            await self._wait(seconds)
        return end

    def must_be_open(self) -> None:
        """Make sure that what is written next can arrive, or that there is an answer already.

        Raises:
            ConnectionGone: If the connection was lost.
        """
        if not self._replies:
            self._check()

    async def finish(self, end: bytes, seconds: float) -> Reply:
        """Write the end of a message; give what the server says to the whole."""
        if self._replies:
            self.abort()  # it refused before it had seen all of it
        else:
            self._write(end)
        reply = await self._reply(seconds)
        self._half_done = False
        self.used_at = asyncio.get_running_loop().time()
        return reply

    def leave(self) -> None:
        """Say goodbye, and do not wait for an answer."""
        if self.is_fit:
            self._transport.write(b"QUIT\r\n")
        self._transport.close()

    def abort(self) -> None:
        """Close at once. A server throws a message away whose end it has not seen."""
        self._transport.abort()

    def _write(self, data: bytes) -> None:
        self._check()
        self._transport.write(data)

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost
        if self._transport.is_closing():
            raise ConnectionGone("connection closed")

    async def _reply(self, seconds: float) -> Reply:
        while not self._replies:
            if self._lost is not None:
                raise self._lost
            await self._wait(seconds)
        return self._replies.popleft()

    async def _wait(self, seconds: float) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(seconds):
            await self._waiting

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Take what the server says."""
        try:
            self._replies.extend(self._reader.feed(data))
        except NotSmtp as error:
            self._lost = self._lost or error
            self._transport.abort()
        self._wake()

    def eof_received(self) -> bool:
        """Take note that the server ended; the transport then closes."""
        self._lost = self._lost or ConnectionGone("connection closed by the server")
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Take note that the connection is no more."""
        self._lost = self._lost or ConnectionGone(f"connection lost: {error!r}")
        self._wake()

    def pause_writing(self) -> None:
        """Wait with the end of a message until most of it has left."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        self._wake()


def _envelope(mail: RenderedMail) -> list[bytes]:
    """Write the commands of a mail.

    Raises:
        ValueError: If an address would be more than an address to the server.
    """
    if not (mail.sender + mail.recipient).isprintable():
        raise ValueError("control characters in an address")
    options = " BODY=8BITMIME SMTPUTF8" if mail.needs_smtputf8 else ""
    return [
        f"MAIL FROM:<{mail.sender}>{options}\r\n".encode(),
        f"RCPT TO:<{mail.recipient}>\r\n".encode(),
        b"DATA\r\n",
    ]
