"""The receiving side of SMTP, as little of it as a mail sink needs, and fast.

EHLO, HELO, MAIL, RCPT, DATA, RSET, NOOP, VRFY and QUIT of RFC 5321, with PIPELINING, SIZE, 8BITMIME
and SMTPUTF8. No TLS, no authentication: it listens on the loopback address.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, cast

MAX_MAIL_BYTES = 32 * 1024 * 1024
_MAX_LINE_BYTES = 4096
_LINE_END = b"\r\n"
_END = b"\r\n.\r\n"
_STUFFED = re.compile(rb"(\A|\r\n)\.")
_PATH = re.compile(r"(FROM|TO):\s*(?:<([^>]*)>|(\S+))\s*(.*)", re.IGNORECASE)
_SIZE = re.compile(r"\bSIZE=(\d+)", re.IGNORECASE)
_EXTENSIONS = ("PIPELINING", f"SIZE {MAX_MAIL_BYTES}", "8BITMIME", "SMTPUTF8")
_TOO_BIG = "552 too big"


class Answer(NamedTuple):
    """What a mail is answered with.

    Attributes:
        reply: The line that is sent, code and text.
        delay_seconds: How late; other connections are served meanwhile.
        drop: Close the connection instead of sending anything.
    """

    reply: str
    delay_seconds: float = 0.0
    drop: bool = False


Receive = Callable[[str, Sequence[str], bytes], Answer]
"""Takes sender, recipients and the content of a mail."""


class SmtpConnection(asyncio.Protocol):
    """One client's connection. Commands are answered in order, however many come at once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._buffer = bytearray()
        self._searched = 0
        self._reading_mail = False
        self._too_big = False
        self._later: asyncio.TimerHandle | None = None
        self._greeted = False
        self._forget()

    # What asyncio calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        self._say("220 Millrace's mail sink")

    def data_received(self, data: bytes) -> None:
        """Take in what came, and do what is complete of it."""
        self._buffer += data
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Nobody waits for an answer any more."""
        if self._later:
            self._later.cancel()

    # Reading ---------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Read on, until something is incomplete or an answer has to wait."""
        while not self._later and not self._transport.is_closing():
            if not (self._read_mail() if self._reading_mail else self._read_command()):
                return

    def _read_command(self) -> bool:
        end = self._buffer.find(_LINE_END)
        if max(end, len(self._buffer) if end < 0 else 0) > _MAX_LINE_BYTES:
            self._say("500 line too long")
            self._transport.close()
            return False
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._obey(line)
        return True

    def _read_mail(self) -> bool:
        if self._buffer.startswith(_END[2:]) and not self._too_big:  # an empty mail
            start, end = 0, 0
        else:
            end = self._buffer.find(_END, self._searched)
            start = end + 2
        if end < 0:
            self._keep_searching()
            return False
        content = bytes(self._buffer[:start])
        del self._buffer[: start + 3]
        self._searched, self._reading_mail = 0, False
        self._take(content)
        return True

    def _keep_searching(self) -> None:
        if len(self._buffer) > MAX_MAIL_BYTES:
            self._too_big = True
            del self._buffer[: -len(_END)]
        self._searched = max(0, len(self._buffer) - len(_END))

    # Answering -------------------------------------------------------------------------------

    def _say(self, reply: str) -> None:
        self._transport.write(f"{reply}\r\n".encode())

    def _take(self, content: bytes) -> None:
        sender, recipients, too_big = self._sender or "", self._recipients, self._too_big
        self._forget()
        if too_big:
            self._say(_TOO_BIG)
            return
        if b"\r\n." in content or content.startswith(b"."):
            content = _STUFFED.sub(rb"\1", content)
        answer = self._receive(sender, recipients, content)
        if answer.delay_seconds:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(answer.delay_seconds, self._answer_late, answer)
        else:
            self._answer(answer)

    def _answer_late(self, answer: Answer) -> None:
        self._later = None
        self._answer(answer)
        self._go_on()

    def _answer(self, answer: Answer) -> None:
        if answer.drop:
            self._transport.close()
        else:
            self._say(answer.reply)

    # Commands --------------------------------------------------------------------------------

    def _obey(self, line: bytes) -> None:
        try:
            verb, _, argument = line.decode().partition(" ")
        except UnicodeDecodeError:
            self._say("500 neither ASCII nor UTF-8")
            return
        command = self._commands.get(verb.upper())
        self._say(command(self, argument.strip()) if command else "500 unknown command")
        if verb.upper() == "QUIT":
            self._transport.close()

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._too_big = False

    def _ehlo(self, _argument: str) -> str:
        self._helo("")
        *most, last = ("millrace", *_EXTENSIONS)
        return "".join(f"250-{one}\r\n" for one in most) + f"250 {last}"

    def _helo(self, _argument: str) -> str:
        self._forget()
        self._greeted = True
        return "250 millrace"

    def _mail(self, argument: str) -> str:
        path = _path("FROM", argument)
        if not self._greeted or self._sender is not None:
            return "503 not now"
        if path is None:
            return "501 MAIL FROM:<address>"
        size = _SIZE.search(path[1])
        if size and int(size[1]) > MAX_MAIL_BYTES:
            return _TOO_BIG
        self._sender = path[0]
        return "250 OK"

    def _rcpt(self, argument: str) -> str:
        path = _path("TO", argument)
        if self._sender is None:
            return "503 MAIL first"
        if path is None or not path[0]:
            return "501 RCPT TO:<address>"
        self._recipients.append(path[0])
        return "250 OK"

    def _data(self, _argument: str) -> str:
        if not self._recipients:
            return "503 RCPT first"
        self._reading_mail = True
        return "354 end with a dot on a line of its own"

    def _rset(self, _argument: str) -> str:
        self._forget()
        return "250 OK"

    def _noop(self, _argument: str) -> str:
        return "250 OK"

    def _vrfy(self, _argument: str) -> str:
        return "252 try it"

    def _quit(self, _argument: str) -> str:
        return "221 bye"

    _commands: ClassVar[dict[str, Callable[["SmtpConnection", str], str]]] = {
        "EHLO": _ehlo,
        "HELO": _helo,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "VRFY": _vrfy,
        "QUIT": _quit,
    }


def _path(word: str, argument: str) -> tuple[str, str] | None:
    """Read `FROM:<address> parameters`; give address and parameters."""
    found = _PATH.fullmatch(argument)
    if found is None or found[1].upper() != word:
        return None
    return found[2] if found[2] is not None else found[3], found[4]
