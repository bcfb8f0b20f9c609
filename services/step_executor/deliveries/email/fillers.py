"""What goes into the holes of a mail, for one contact."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from libs.domain.merge_tags import MergeTag, Template, Values
from services.step_executor.deliveries.email.links import LinksOfMail
from services.step_executor.store.rendered_mail import within_limit

UNSUBSCRIBE = "unsubscribeOneClickLink"
"""The key, in the scope `sender`, of the link that takes a contact out."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """One mail to one contact."""

    values: Values
    links: LinksOfMail
    operational: bool


@dataclass(frozen=True, slots=True)
class TagInHtml:
    """A merge tag: its value can add no markup."""

    tag: MergeTag

    def text(self, occasion: Occasion) -> str:
        """Give the value, escaped."""
        return escape(self.tag.text(occasion.values))


@dataclass(frozen=True, slots=True)
class TagInText:
    """A merge tag in a text that somebody wrote as text."""

    tag: MergeTag

    def text(self, occasion: Occasion) -> str:
        """Give the value as it is."""
        return self.tag.text(occasion.values)


@dataclass(frozen=True, slots=True)
class TagOnLine:
    """A merge tag in text that was made from HTML, where line breaks are only spaces."""

    tag: MergeTag

    def text(self, occasion: Occasion) -> str:
        """Give the value on one line."""
        return " ".join(self.tag.text(occasion.values).split())


@dataclass(frozen=True, slots=True)
class SameLink:
    """A link that leads to the same place for everybody."""

    url: str
    written: str

    def text(self, occasion: Occasion) -> str:
        """Lead through the API."""
        return occasion.links.tracked(self.url) or self.written


@dataclass(frozen=True, slots=True)
class OwnLink:
    """A link with merge tags in it."""

    url: Template
    written: Template

    def text(self, occasion: Occasion) -> str:
        """Fill in the address, and lead through the API if it leads into the web."""
        texts = [tag.text(occasion.values) for tag in self.url.tags]
        tracked = occasion.links.tracked(fill(self.url, texts).strip())
        return tracked or fill(self.written, [escape(text) for text in texts])


@dataclass(frozen=True, slots=True)
class Tail:
    """What is added before the end: a way out, if the author put none, and the pixel."""

    has_own_unsubscribe: bool

    def text(self, occasion: Occasion) -> str:
        """Write the footer of marketing mail, and the pixel."""
        footer = ""
        if not (occasion.operational or self.has_own_unsubscribe):
            footer = f'<p><a href="{occasion.links.unsubscribe}">Unsubscribe</a></p>'
        return f'{footer}<img src="{occasion.links.pixel()}" width="1" height="1" alt="">'


@dataclass(frozen=True, slots=True)
class TextFooter:
    """The way out at the end of a text."""

    has_own_unsubscribe: bool

    def text(self, occasion: Occasion) -> str:
        """Write the footer of marketing mail."""
        if occasion.operational or self.has_own_unsubscribe:
            return ""
        return f"\nUnsubscribe: {occasion.links.unsubscribe}\n"


def fill(template: Template, texts: Sequence[str]) -> str:
    """Fill a template, unless that makes more than any mail may have.

    Raises:
        CannotCompose: If it does.
    """
    within_limit(sum(map(len, texts)))
    return template.fill(texts)
