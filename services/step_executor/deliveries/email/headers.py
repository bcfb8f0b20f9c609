"""Header lines as RFC 5322 and RFC 2047 want them, one bytes value each.

The email package does the same with a parser for every address, which takes longer than all the
rest of a mail.
"""

import re
from binascii import b2a_base64

from services.step_executor.store.rendered_mail import CannotCompose

LONGEST_LINE = 998
"""RFC 5322, 2.1.1: no line may be longer. Links must not be folded, so their headers need it."""
_LONGEST_VALUE = 20_000
_PLAIN_TEXT = 900
_PLAIN_NAME = 200
_PLAIN_LINE = 60
_BYTES_PER_WORD = 45
"""In base64 and with what surrounds them these make an encoded word of 72 characters; 75 may be."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SPACES = re.compile(r"[\x00-\x20\x7f]+")
_CONTINUES = 0x80
_CONTINUES_MASK = 0xC0


def plain(name: str, value: str) -> bytes:
    """Write a header whose value may neither be encoded nor folded, as a link.

    Raises:
        CannotCompose: If that makes too long a line.
    """
    line = f"{name}: {value}\r\n".encode()
    if len(line) > LONGEST_LINE + 2:
        raise CannotCompose(f"too_long_header: {name}")
    return line


def text(name: str, value: str) -> bytes:
    """Write a header for people to read. Line breaks become spaces: no value adds a header."""
    one_line = _CONTROL.sub(" ", value).strip()
    if _is_plain(one_line, _PLAIN_TEXT):
        return f"{name}: {one_line}\r\n".encode()
    return f"{name}: {_encoded(one_line)}\r\n".encode()


def address(name: str, mailbox: str, shown: str = "") -> bytes:
    """Write a header of one address, with the name that mail programs show before it."""
    one_line = _SPACES.sub(" ", shown).strip()
    if not one_line:
        return f"{name}: {mailbox}\r\n".encode()
    if _is_plain(one_line, _PLAIN_NAME):
        quoted = one_line.replace("\\", "\\\\").replace('"', '\\"')
        fold = "\r\n" if len(quoted) + len(mailbox) > _PLAIN_LINE else ""
        return f'{name}: "{quoted}"{fold} <{mailbox}>\r\n'.encode()
    return f"{name}: {_encoded(one_line)}\r\n <{mailbox}>\r\n".encode()


def _is_plain(value: str, longest: int) -> bool:
    """Whether a value can stay; what only looks like an encoded word would be decoded."""
    return value.isascii() and len(value) <= longest and "=?" not in value


def _encoded(value: str) -> str:
    """Write encoded words, each on its own line and none with half a character.

    Raises:
        CannotCompose: If nobody could read so long a header.
    """
    if len(value) > _LONGEST_VALUE:
        raise CannotCompose("too_long_header")
    data, words = value.encode("utf-8", "replace"), []
    start = 0
    while start < len(data):
        end = min(start + _BYTES_PER_WORD, len(data))
        while end < len(data) and data[end] & _CONTINUES_MASK == _CONTINUES:
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[start:end], newline=False).decode()}?=")
        start = end
    return "\r\n ".join(words)
