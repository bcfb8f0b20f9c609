"""Cutting the HTML of a mail into tags and text.

HTML in mails is written by anyone and anything. The time this takes grows with its length only,
whatever is in it: it never looks again for what is not there, and has no recursion that follows
the document. What never ends (a tag, a comment, a style) ends the document, as in a browser.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

_MARKUP = re.compile(r"<(?:(?P<slash>/?)(?P<name>[a-zA-Z][^\s/>]*+)|!--|[!?/])")
_TAG_REST = re.compile(r"""(?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+|["'])*+>""")
_ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s/>=][^\s/>=]*+)"""
    r"""(?:\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s>"'][^\s>]*+)))?+"""
)
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("style", "script")}

Kind = Literal["text", "begin", "end", "comment", "hidden", "unclosed"]


class Token(NamedTuple):
    """A piece of a document. Every character of it is in exactly one."""

    kind: Kind
    start: int
    end: int
    name: str = ""


def tokens(html: str) -> Iterator[Token]:
    """Cut a document into tokens."""
    return _tokens(html, 0, len(html), comments=True)


def tokens_in_comment(html: str, comment: Token) -> Iterator[Token]:
    """Cut the inside of a comment into tokens: Outlook reads the markup of some."""
    return _tokens(html, comment.start + 4, max(comment.start + 4, comment.end - 3), comments=False)


def _tokens(html: str, start: int, stop: int, *, comments: bool) -> Iterator[Token]:
    position = start
    while markup := _MARKUP.search(html, position, stop):
        if position < markup.start():
            yield Token("text", position, markup.start())
        kind, end, name = _read(html, markup, stop, comments=comments)
        if not end:
            yield Token("unclosed", markup.start(), stop)
            return
        yield Token(kind, markup.start(), end, name)
        position = end
    if position < stop:
        yield Token("text", position, stop)


def _read(html: str, markup: re.Match[str], stop: int, *, comments: bool) -> tuple[Kind, int, str]:
    """Say what begins here, and where it ends: 0 is nowhere."""
    if markup["name"]:
        return _tag(html, markup, stop)
    if comments and markup[0] == "<!--":
        end = html.find("-->", markup.end(), stop)
        return "comment", end + 3 if end >= 0 else 0, ""
    return "hidden", html.find(">", markup.end(), stop) + 1, ""


def _tag(html: str, markup: re.Match[str], stop: int) -> tuple[Kind, int, str]:
    """Read a tag; a style or script whole, because `<` in it is no markup."""
    rest, name = _TAG_REST.match(html, markup.end(), stop), markup["name"].lower()
    if rest is None or markup["slash"]:
        return "end", rest.end() if rest else 0, name
    if name not in _RAW_END:
        return "begin", rest.end(), name
    closing = _RAW_END[name].search(html, rest.end(), stop)
    return "hidden", closing.start() if closing else 0, name


def href_of(html: str, link: Token) -> tuple[int, int] | None:
    """Find where the address of a link starts and ends."""
    after_name = link.start + 1 + len(link.name)
    for attribute in _ATTRIBUTE.finditer(html, after_name, link.end - 1):
        if attribute["name"].lower() == "href":
            group = attribute.lastgroup or "name"
            return None if group == "name" else attribute.span(group)
    return None
