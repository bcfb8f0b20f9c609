"""Pages: `page` and `limit` in, `pagination` out (services/api/native/README.md, "Lists")."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

_LAST_PAGE = 1_000_000
"""Rows are skipped by a 32-bit number."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for."""

    page: Annotated[int, Query(ge=1, le=_LAST_PAGE)] = 1
    limit: Annotated[int, Query(ge=1, le=100)] = 25

    def query(self) -> dict[str, int]:
        """Write it as stores take it."""
        return {"at_most": self.limit, "skip": (self.page - 1) * self.limit}

    def listed(self, name: str, rows: list[dict[str, Any]], total: int) -> dict[str, Any]:
        """Give its rows under their name, and beside them which of how many pages it is."""
        pages = -(-total // self.limit)
        pagination = {"page": self.page, "limit": self.limit, "total": total, "total_pages": pages}
        return {name: rows, "pagination": pagination}
