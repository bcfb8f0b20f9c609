"""The text part of a mail whose author wrote only HTML."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset("p div br tr li h1 h2 h3 h4 h5 h6 table ul ol blockquote hr".split())
_SILENT = frozenset({"style", "script", "head", "title"})
_BLANK_LINES = re.compile(r"\n{3,}")


def plain_text(html: str) -> str:
    """Turn HTML into readable text: blocks become lines, links keep their address."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = ("".join(reader.parts)).splitlines()
    return _BLANK_LINES.sub("\n\n", "\n".join(" ".join(line.split()) for line in lines)).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0
        self._links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line for a block; remember where a link leads."""
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href"))

    def handle_endtag(self, tag: str) -> None:
        """End a line after a block; write a link's address behind its text."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a" and self._links:
            address = self._links.pop()
            self.parts.append(f" <{address}>" if address else "")

    def handle_data(self, data: str) -> None:
        """Keep the text, outside of what is not shown."""
        if not self._silent:
            self.parts.append(data.replace("\n", " "))
