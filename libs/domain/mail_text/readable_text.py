"""The text part of a mail whose author wrote only HTML."""

import re
from html import unescape

from libs.domain.mail_text.html_tokens import Token, href_of, tokens
from libs.domain.mail_text.marked_text import MarkedText, as_template, mark_tags
from libs.domain.merge_tags import MergeTag

_BLOCKS = frozenset("p div br tr li h1 h2 h3 h4 h5 h6 table ul ol blockquote hr".split())
_SILENT = frozenset({"head", "title"})
_BLANK_LINES = re.compile(r"\n{3,}")


def text_of(html: str) -> str:
    """Give the text a mail of this HTML has, as its author could have written it, tags and all."""
    marked = mark_tags(html)
    reader = ReadableText(marked)
    for token in tokens(marked.text):
        reader.take(token)
    read = reader.result()
    return as_template(read.text, read.holes).fill([tag.written() for tag in read.holes])


class ReadableText:
    """Reads a document's tokens: blocks become lines, links keep their address."""

    def __init__(self, html: MarkedText[MergeTag]) -> None:
        self._html = html
        self._parts: list[str] = []
        self._tags: list[MergeTag] = []
        self._links: list[tuple[int, int] | None] = []
        self._silent = 0

    def take(self, token: Token) -> None:
        """Go on by a token."""
        if token.kind == "text":
            self._say(token.start, token.end)
        elif token.kind in {"begin", "end"} and token.name in _BLOCKS:
            self._parts.append("\n")
        elif token.kind == "begin":
            self._begin(token)
        elif token.kind == "end":
            self._end(token.name)

    def result(self) -> MarkedText[MergeTag]:
        """Give the text, with the merge tags that are in what is shown."""
        lines = "".join(self._parts).splitlines()
        text = "\n".join(" ".join(line.split()) for line in lines)
        return MarkedText(_BLANK_LINES.sub("\n\n", text).strip(), self._tags)

    def _begin(self, token: Token) -> None:
        if token.name == "a":
            self._links.append(href_of(self._html.text, token))
        elif token.name in _SILENT:
            self._silent += 1
        elif token.name == "body":
            self._silent = 0  # also where the head before it was never closed

    def _end(self, name: str) -> None:
        if name == "a" and self._links:
            if (link := self._links.pop()) and link[0] < link[1] and not self._silent:
                self._parts.append(" <")
                self._say(*link)
                self._parts.append(">")
        elif name in _SILENT:
            self._silent = max(0, self._silent - 1)

    def _say(self, start: int, end: int) -> None:
        if not self._silent:
            self._parts.append(unescape(self._html.text[start:end]).replace("\n", " "))
            self._tags.extend(self._html.holes_in(start, end))
