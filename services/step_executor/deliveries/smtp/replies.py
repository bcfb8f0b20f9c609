"""What mail servers say, read from bytes as they arrive."""

import re
from typing import NamedTuple

_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])([^\r\n]*))?\r*\n")
_LONGEST = 65_536
_LONGEST_SHOWN = 500
_NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f]+")
_GO_ON = 354
_SERVER_LEAVES = 421
_SERVER_WANTS_OTHERS = frozenset({530, 534, 535, 538})
"""Log in first, encrypt first: mostly all mails would be refused, but some say so of one alone."""


class NotSmtp(Exception):  # noqa: N818  (the server's fault)
    """What came is no answer of a mail server."""


class Reply(NamedTuple):
    """An answer: a code and a text, which often starts with an enhanced status (5.1.1)."""

    code: int
    text: str

    def __str__(self) -> str:
        shown = _NOT_SHOWN.sub(" ", self.text)[:_LONGEST_SHOWN]
        return f"{self.code} {shown}".strip()

    @property
    def is_yes(self) -> bool:
        """Whether it was done."""
        return self.code // 100 == 2  # noqa: PLR2004  (RFC 5321, 4.2.1: 2yz is yes)

    @property
    def wants_data(self) -> bool:
        """Whether the message is to follow."""
        return self.code == _GO_ON

    @property
    def is_no_for_now(self) -> bool:
        """Whether asking again may be of use."""
        return self.code // 100 == 4  # noqa: PLR2004  (RFC 5321, 4.2.1: 4yz is for now)

    @property
    def is_no_for_good(self) -> bool:
        """Whether asking again would be of no use."""
        return self.code // 100 == 5  # noqa: PLR2004  (RFC 5321, 4.2.1: 5yz is for good)

    @property
    def is_goodbye(self) -> bool:
        """Whether the server leaves."""
        return self.code == _SERVER_LEAVES

    @property
    def wants_others(self) -> bool:
        """Whether the server would take it from others, or from us if we had logged in."""
        return self.code in _SERVER_WANTS_OTHERS


class ReplyReader:
    """Cuts what arrives into answers. Several may arrive together, or one in parts."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[str] = []
        self._length = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a further answer has arrived."""
        return not (self._buffer or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """Give the answers that are complete now.

        Raises:
            NotSmtp: If what came is none, or has no end.
        """
        self._buffer += data
        replies, position = [], 0
        while line := _LINE.match(self._buffer, position):
            position = line.end()
            self._take(line)
            if line[2] != b"-":
                replies.append(Reply(int(line[1]), " ".join(self._lines)))
                self._lines, self._length = [], 0
        self._buffer = self._buffer[position:]
        if b"\n" in self._buffer or len(self._buffer) > _LONGEST:
            raise NotSmtp(f"no answer of a mail server: {self._buffer[:80]!r}")
        return replies

    def _take(self, line: re.Match[bytes]) -> None:
        self._length += len(line[0])
        if self._length > _LONGEST:
            raise NotSmtp("an answer without end")
        self._lines.append((line[3] or b"").decode("utf-8", "replace"))
