"""A text with holes: each is marked by a character that no text holds otherwise."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from libs.domain.merge_tags import MergeTag, Template, compile_template

MARK = "\x00"
"""Not a character that HTML or mails may contain, so it is taken out of what authors wrote."""

Hole = TypeVar("Hole")


@dataclass(frozen=True)
class MarkedText(Generic[Hole]):
    """A text, and in order what its marks stand for."""

    text: str
    holes: Sequence[Hole]
    marks: list[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "marks", _places(self.text))

    def holes_in(self, start: int, end: int) -> Sequence[Hole]:
        """Give what the marks of a part stand for."""
        return self.holes[bisect_left(self.marks, start) : bisect_left(self.marks, end)]

    def __add__(self, other: "MarkedText[Hole]") -> "MarkedText[Hole]":
        return MarkedText(self.text + other.text, [*self.holes, *other.holes])


def mark_tags(written: str) -> MarkedText[MergeTag]:
    """Put a mark in the place of every merge tag; lines end as in this program."""
    template = compile_template(written)
    return MarkedText(MARK.join(map(clean, template.literals)), template.tags)


def clean(text: str) -> str:
    """Take out what could be taken for a mark, and end lines with a line feed."""
    return text.replace(MARK, "").replace("\r\n", "\n").replace("\r", "\n")


def with_line_end(text: str) -> str:
    """End the last line, as mails do."""
    return text if text.endswith("\n") else f"{text}\n"


def as_template(text: str, tags: Iterable[MergeTag]) -> Template:
    """Make a template of a marked text again."""
    return Template(tuple(text.split(MARK)), tuple(tags))


def _places(text: str) -> list[int]:
    places, position = [], text.find(MARK)
    while position >= 0:
        places.append(position)
        position = text.find(MARK, position + 1)
    return places
