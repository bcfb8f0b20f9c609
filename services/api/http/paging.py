"""Pages: `page` and `limit` in, `pagination` out (reference, section 14.3)."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

_LAST_PAGE = 1_000_000
"""Rows are skipped by a 32-bit number."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for."""

    page: Annotated[int, Query(ge=1, le=_LAST_PAGE)] = 1
    limit: Annotated[int, Query(ge=1, le=100)] = 25

    @property
    def skip(self) -> int:
        """How many rows come before it."""
        return (self.page - 1) * self.limit

    def pagination(self, total: int) -> dict[str, int]:
        """Describe it beside its rows."""
        return {
            "page": self.page,
            "limit": self.limit,
            "total": total,
            "total_pages": -(-total // self.limit),
        }
