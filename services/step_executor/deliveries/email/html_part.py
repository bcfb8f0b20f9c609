"""The HTML of a mail, prepared: tags, links and the end of it are holes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape, unescape

from libs.domain.mail_text.html_tokens import (
    Token,
    href_of,
    tokens,
    tokens_in_comment,
)
from libs.domain.mail_text.marked_text import (
    MARK,
    MarkedText,
    as_template,
    mark_tags,
    with_line_end,
)
from libs.domain.merge_tags import MergeTag
from services.step_executor.deliveries.email.fillers import (
    Occasion,
    OwnLink,
    SameLink,
    TagInHtml,
    Tail,
)
from services.step_executor.deliveries.email.links import is_web
from services.step_executor.deliveries.email.mime_parts import Filler
from services.step_executor.store.rendered_mail import CannotCompose

MAX_ELEMENTS = 100_000
MAX_LINKS = 2_000


@dataclass
class Outline:
    """Where in a document something is replaced or added."""

    html: MarkedText[MergeTag]
    hrefs: list[tuple[int, int]] = field(default_factory=list)
    end: int | None = None
    elements: int = 0

    def take(self, token: Token) -> None:
        """Note a link, and the end of what is shown."""
        self._take_link(token)
        if token.kind == "unclosed" or (token.kind, token.name) == ("end", "body"):
            self.end = token.start if self.end is None else self.end
        elif token.kind == "comment":
            for inside in tokens_in_comment(self.html.text, token):
                self._take_link(inside)

    def _take_link(self, token: Token) -> None:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise CannotCompose("too_many_elements")
        if token.kind == "begin" and token.name == "a":
            href = href_of(self.html.text, token)
            self.hrefs += [href] if href else []
            if len(self.hrefs) > MAX_LINKS:
                raise CannotCompose("too_many_links")


def read(html: MarkedText[MergeTag], listeners: Iterable[Callable[[Token], None]]) -> Outline:
    """Read a document once.

    Raises:
        CannotCompose: If it has more elements or links than any mail.
    """
    outline = Outline(html)
    for token in tokens(html.text):
        outline.take(token)
        for listener in listeners:
            listener(token)
    return outline


def with_preheader(html: MarkedText[MergeTag], preview: str | None) -> MarkedText[MergeTag]:
    """Hide at the top what mail programs show beside the subject."""
    if not preview:
        return html
    marked = mark_tags(preview)
    hidden = "display:none;max-height:0;overflow:hidden"
    return MarkedText(f'<div style="{hidden}">{escape(marked.text)}</div>', marked.holes) + html


def with_holes(outline: Outline, tail: Tail) -> MarkedText[Filler[Occasion]]:
    """Make holes of links, of the tags elsewhere, and of the end."""
    html, position = outline.html, 0
    text: list[str] = []
    holes: list[Filler[Occasion]] = []
    for start, end, filler in _replaced(outline, tail):
        text += [html.text[position:start], MARK]
        holes += [*map(TagInHtml, html.holes_in(position, start)), filler]
        position = end
    text.append(with_line_end(html.text[position:]))
    holes += map(TagInHtml, html.holes_in(position, len(html.text)))
    return MarkedText("".join(text), holes)


def _replaced(outline: Outline, tail: Tail) -> list[tuple[int, int, Filler[Occasion]]]:
    """List what is replaced, in order. The tail is in no link: it stands before a tag."""
    replaced: list[tuple[int, int, Filler[Occasion]]] = []
    for start, end in outline.hrefs:
        if link := _link(outline.html, start, end):
            replaced.append((start, end, link))
    end = len(outline.html.text) if outline.end is None else outline.end
    return sorted([*replaced, (end, end, tail)], key=lambda one: one[:2])


def _link(html: MarkedText[MergeTag], start: int, end: int) -> Filler[Occasion] | None:
    """Read an address, if it may lead into the web."""
    written, tags = html.text[start:end], html.holes_in(start, end)
    url = unescape(written).strip()
    if tags:
        return OwnLink(as_template(url, tags), as_template(written, tags))
    return SameLink(url, written) if is_web(url) else None
