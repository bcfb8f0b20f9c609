"""Merge tags: `{{contact.firstName:default=there}}` in subjects, bodies and links.

A tag is `{{ scope.key[:default=text] }}`. The scopes are `contact` (standard and custom fields),
`campaign.dynamic` (values of this run) and `sender` (`tented` is accepted for it). A tag without a
value becomes its default, else nothing. Values are never read as templates again.
"""

import html
import re
from collections.abc import Iterator, Mapping

from libs.domain.contact import Scalar

_TAG = re.compile(
    r"\{\{\s*(?P<scope>contact|campaign\.dynamic|sender|tented)\.(?P<key>[A-Za-z_]\w*)"
    r"\s*(?::default=(?P<default>[^}]*(?:\}(?!\})[^}]*)*))?\}\}"
)

Values = Mapping[str, Mapping[str, Scalar]]
"""What tags stand for: scope, then key, gives the value."""


def render(template: str, values: Values, *, escape: bool) -> str:
    """Put values in the place of tags.

    Args:
        template: The text with tags.
        values: The value of each scope and key.
        escape: True for HTML: values and defaults are escaped, so they can add no markup.
    """

    def replace(tag: re.Match[str]) -> str:
        text = _text_of(tag, values)
        return html.escape(text) if escape else text

    return _TAG.sub(replace, template)


def tags_in(template: str) -> Iterator[tuple[str, str]]:
    """List the scope and key of every tag, in order."""
    for tag in _TAG.finditer(template):
        yield _scope(tag), tag["key"]


def _scope(tag: re.Match[str]) -> str:
    return "sender" if tag["scope"] == "tented" else tag["scope"]


def _text_of(tag: re.Match[str], values: Values) -> str:
    value = values.get(_scope(tag), {}).get(tag["key"])
    if value is None or value == "":
        return (tag["default"] or "").strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
