"""Pages: `page` and `limit` in, `pagination` out (services/api/native/README.md, "Lists")."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

from services.api.store.member_lists import Window

_LAST_PAGE = 1_000_000
"""Rows are skipped by a 32-bit number."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for."""

    page: Annotated[int, Query(ge=1, le=_LAST_PAGE)] = 1
    limit: Annotated[int, Query(ge=1, le=100)] = 25

    @property
    def window(self) -> Window:
        """Say which rows it holds."""
        return Window((self.page - 1) * self.limit, self.limit)

    def query(self) -> dict[str, int]:
        """Write it as stores take it."""
        return {"at_most": self.limit, "skip": (self.page - 1) * self.limit}

    def listed(
        self, name: str, rows: list[dict[str, Any]], total: int, *, exact: bool = True
    ) -> dict[str, Any]:
        """Give its rows under their name, and beside them which of how many pages it is.

        Args:
            name: What the rows are called.
            rows: The rows of this page.
            total: How many there are in all.
            exact: Whether the total is all of them. Only where it is not, the answer says so.
        """
        pages = -(-total // self.limit)
        pagination = {"page": self.page, "limit": self.limit, "total": total, "total_pages": pages}
        told = {} if exact else {"total_is_exact": False}
        return {name: rows, "pagination": pagination | told}
