"""What is missing from a definition, or worth a look: a place in it, and a code.

An issue has no words. Each dialect phrases it in the terms of the document its users wrote.
"""

from typing import NamedTuple

Place = tuple[str | int, ...]
"""Where in a definition something stands: `("steps", 3, "edges", "next")`."""


class Issue(NamedTuple):
    """Something about a definition.

    Attributes:
        place: Where it stands.
        code: What is the matter: `missing`, `unknown`, `not_approved`, `not_judgeable`,
            `not_configured` (this installation cannot do it), `unknown_tags`, `endless_circle`;
            as a warning `unreachable`, `leads_nowhere`, `no_trigger`, `no_timeout`, `no_text`.
    """

    place: Place
    code: str = "missing"

    @classmethod
    def at(cls, *place: str | int, code: str = "missing") -> "Issue":
        """Name an issue at a place."""
        return cls(place, code)

    def under(self, *place: str | int) -> "Issue":
        """Give the same issue, seen from further up."""
        return Issue((*place, *self.place), self.code)
