"""A part of a mail in its transfer encoding, with what never changes encoded beforehand.

Quoted-printable allows that: a soft line break may stand anywhere, so that pieces that begin and
end a line can be encoded apart and put together. Text mostly beyond ASCII becomes three times as
long so; it is sent as base64, which is encoded whole for each mail.
"""

from binascii import b2a_base64, b2a_qp
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from libs.domain.mail_text.marked_text import MARK, MarkedText
from services.step_executor.store.rendered_mail import within_limit

_BASE64_IF_ONE_IN = 6
_BASE64_LINE = 76
Occasion_contra = TypeVar("Occasion_contra", contravariant=True)
Occasion = TypeVar("Occasion")


class Filler(Protocol[Occasion_contra]):
    """What a hole is filled with, once for all holes that are equal."""

    def text(self, occasion: Occasion_contra, /) -> str:
        """Give the text for this mail."""


@dataclass(frozen=True)
class MimePart(Generic[Occasion]):
    """A text part: encoded pieces, with an empty place between each two.

    Attributes:
        fillers: What fills the places, each once.
        places: For each place, the number of its filler.
    """

    head: bytes
    pieces: Sequence[bytes]
    fillers: Sequence[Filler[Occasion]]
    places: Sequence[int]
    encode: Callable[[str], bytes]
    finish: Callable[[bytes], bytes]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", sum(map(len, self.pieces)))

    def render(self, occasion: Occasion) -> bytes:
        """Fill in.

        Raises:
            CannotCompose: If it becomes too large.
        """
        filled: list[bytes] = []
        total = self.size
        for filler in self.fillers:
            encoded = self.encode(filler.text(occasion))
            total = within_limit(total + len(encoded))
            filled.append(encoded)
        values = [filled[number] for number in self.places]
        within_limit(self.size + sum(map(len, values)))
        pieces = list(self.pieces)
        pieces[1::2] = values
        return self.head + self.finish(b"".join(pieces))


def mime_part(subtype: str, text: MarkedText[Filler[Occasion]]) -> MimePart[Occasion]:
    """Prepare a part."""
    literals = text.text.split(MARK)
    numbers = {filler: number for number, filler in enumerate(dict.fromkeys(text.holes))}
    beyond_ascii = len(text.text.encode("utf-8", "replace")) - len(text.text)
    as_base64 = beyond_ascii * _BASE64_IF_ONE_IN > len(text.text)
    encode = _utf8 if as_base64 else quoted_printable
    pieces = [b""] * (2 * len(literals) - 1)
    pieces[::2] = map(encode, literals)
    return MimePart(
        head=_head(subtype, "base64" if as_base64 else "quoted-printable"),
        pieces=pieces,
        fillers=list(numbers),
        places=[numbers[hole] for hole in text.holes],
        encode=encode,
        finish=_base64 if as_base64 else bytes,
    )


def _head(subtype: str, encoding: str) -> bytes:
    return (
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()


def quoted_printable(text: str) -> bytes:
    """Encode a piece that begins a line and ends one."""
    if not text:
        return b""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    soft = b"" if text.endswith("\n") else b"=\r\n"
    return b2a_qp(text.encode("utf-8", "replace")).replace(b"\n", b"\r\n") + soft


def _utf8(text: str) -> bytes:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def _base64(data: bytes) -> bytes:
    line = b2a_base64(data, newline=False)
    starts = range(0, len(line), _BASE64_LINE)
    return b"\r\n".join([line[start : start + _BASE64_LINE] for start in starts]) + b"\r\n"
