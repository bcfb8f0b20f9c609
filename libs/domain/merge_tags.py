"""Merge tags: `{{contact.firstName:default=there}}` in subjects, bodies and links.

A tag is `{{ scope.key[:default=text] }}`. The scopes are `contact` (standard and custom fields),
`campaign.dynamic` (values of this run) and `sender` (`tented` is accepted for it). A tag without a
value becomes its default, else nothing. Values are never read as templates again.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from libs.domain.contact import Scalar

_TAG_HEAD = re.compile(
    r"\{\{\s*+(?P<scope>contact|campaign\.dynamic|sender|tented)\.(?P<key>[A-Za-z_]\w*+)\s*+"
    r"(?:(?P<end>\}\})|:default=)"
)
"""A tag up to its default. The default's end is looked for separately: a pattern that includes it
would read to the end of the text again for every tag that is not closed."""

Values = Mapping[str, Mapping[str, Scalar]]
"""What tags stand for: scope, then key, gives the value."""


@dataclass(frozen=True, slots=True)
class MergeTag:
    """A place where a value goes."""

    scope: str
    key: str
    default: str = ""

    def text(self, values: Values) -> str:
        """Give the value as text, else the default, else nothing."""
        value = values.get(self.scope, {}).get(self.key)
        if value is None or value == "":
            return self.default
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def written(self) -> str:
        """Write it as authors do."""
        scope = "tented" if self.scope == "sender" else self.scope
        default = f":default={self.default}" if self.default else ""
        return f"{{{{{scope}.{self.key}{default}}}}}"


@dataclass(frozen=True, slots=True)
class Template:
    """A text that was read once: what stands still, and the tags between.

    There is one literal more than there are tags.
    """

    literals: tuple[str, ...]
    tags: tuple[MergeTag, ...] = ()

    def render(self, values: Values, *, escape: bool) -> str:
        """Put values in the place of tags; `escape` is as in `render` below."""
        texts = [tag.text(values) for tag in self.tags]
        return self.fill([html.escape(text) for text in texts] if escape else texts)

    def fill(self, texts: Sequence[str]) -> str:
        """Put a text in the place of each tag, in order."""
        return "".join(chain.from_iterable(zip_longest(self.literals, texts, fillvalue="")))


def compile_template(text: str) -> Template:
    """Find the tags of a text, in time that grows with its length, whatever is in it."""
    literals, tags, position = [], [], 0
    for start, end, tag in _found(text):
        literals.append(text[position:start])
        tags.append(tag)
        position = end
    return Template((*literals, text[position:]), tuple(tags))


def render(template: str, values: Values, *, escape: bool) -> str:
    """Put values in the place of tags.

    Args:
        template: The text with tags.
        values: The value of each scope and key.
        escape: True for HTML: values and defaults are escaped, so they can add no markup.
    """
    return compile_template(template).render(values, escape=escape)


def tags_in(template: str) -> Iterator[tuple[str, str]]:
    """List the scope and key of every tag, in order."""
    for _, _, tag in _found(template):
        yield tag.scope, tag.key


def _found(text: str) -> Iterator[tuple[int, int, MergeTag]]:
    """Give each tag with where it starts and ends."""
    position = 0
    while head := _TAG_HEAD.search(text, position):
        closing = head.start("end") if head["end"] else text.find("}}", head.end())
        if closing < 0:
            return  # without a `}}` in the rest there is no tag in the rest
        default = "" if head["end"] else text[head.end() : closing].strip()
        scope = "sender" if head["scope"] == "tented" else head["scope"]
        position = closing + 2
        yield head.start(), position, MergeTag(scope, head["key"], default)
