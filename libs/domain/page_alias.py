"""What a web page may be called in its address, in the place of its id."""

import re
import unicodedata

from libs.domain.merge_tags import Values, compile_template

MAX_ALIAS_CHARACTERS = 100
ROOT = "/"
"""The alias of a workspace's front page."""
RESERVED = frozenset(
    "admin api app assets docs favicon.ico health index.html login pages robots.txt sitemap.xml "
    "static submit t v1".split()
)
"""What addresses of other things may begin with, now or later."""

_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")
_OTHERS = re.compile(r"[^a-z0-9._-]+")


def fault_of_alias(alias: str) -> str | None:
    """Say what is wrong with an alias, or None."""
    if alias == ROOT:
        return None
    if len(alias) > MAX_ALIAS_CHARACTERS:
        return f"an alias has at most {MAX_ALIAS_CHARACTERS} characters"
    if not _ALIAS.fullmatch(alias):
        return (
            "an alias holds small letters, digits, '-', '_' and '.', and begins with a letter "
            "or a digit"
        )
    if _UUID.fullmatch(alias):
        return "an alias is no UUID"
    return f"the alias {alias} is reserved" if alias in RESERVED else None


def rendered_alias(template: str, values: Values) -> str:
    """Put values in the place of the tags of an alias, each written as an alias may hold it.

    `{{contact.firstName}}` of Zoë is `zoe`. What an author wrote beside the tags stays as it is.
    """
    read = compile_template(template)
    texts = [_as_part(tag.text(values)) for tag in read.tags]
    return read.fill(texts)[: MAX_ALIAS_CHARACTERS + 1]


def _as_part(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _OTHERS.sub("-", plain).strip("-")
