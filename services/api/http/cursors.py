"""Cursors: where a list goes on, for lists that are too long to be counted and skipped through."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query

from libs.domain.calendar import read_instant, to_text
from services.api.use_cases.problems import Problem, invalid

MOST_COUNTED = 10_000
"""Rows are counted, and pages are skipped, no further than this."""


@dataclass(frozen=True, slots=True)
class CursorPage:
    """Which page is asked for: by its number, or by where the one before it ended."""

    page: Annotated[int, Query(ge=1, le=MOST_COUNTED)] = 1
    limit: Annotated[int, Query(ge=1, le=100)] = 25
    cursor: Annotated[str | None, Query(max_length=1000)] = None

    @property
    def skip(self) -> int:
        """How many rows come before it.

        Raises:
            Problem: If that is too far for a number; a cursor gets there.
        """
        if self.cursor is not None:
            return 0
        skipped = (self.page - 1) * self.limit
        if skipped >= MOST_COUNTED:
            raise invalid("page", f"pages reach {MOST_COUNTED} rows far; go on by next_cursor")
        return skipped

    def after(self) -> tuple[datetime, str] | None:
        """Say after which place it begins.

        Raises:
            Problem: If the cursor is none of ours.
        """
        if self.cursor is None:
            return None
        try:
            at, row_id = json.loads(base64.urlsafe_b64decode(self.cursor))
            instant, known = read_instant(at), bool(row_id.encode()) and "\0" not in row_id
        except (ValueError, TypeError, AttributeError):
            raise _not_ours() from None
        if instant is None or not known:
            raise _not_ours()
        return instant, row_id

    def after_contact(self) -> tuple[datetime, UUID] | None:
        """Say after which contact it begins.

        Raises:
            Problem: If the cursor is none of ours.
        """
        place = self.after()
        try:
            return (place[0], UUID(place[1])) if place else None
        except ValueError:
            raise _not_ours() from None

    def listed(
        self,
        name: str,
        rows: list[dict[str, Any]],
        total: int | None,
        next_cursor: str | None,
        *,
        exact: bool = True,
    ) -> dict[str, Any]:
        """Give its rows under their name, and beside them how many there are and how to go on."""
        counted = None if total is None else min(total, MOST_COUNTED)
        pagination = {
            "page": self.page if self.cursor is None else None,
            "limit": self.limit,
            "total": counted,
            "total_pages": None if counted is None else -(-counted // self.limit),
            "total_is_exact": exact and total is not None and total <= MOST_COUNTED,
            "next_cursor": next_cursor,
        }
        return {name: rows, "pagination": pagination}


def cursor_after(at: datetime, row_id: UUID | str) -> str:
    """Write the place of a row as a cursor."""
    place = json.dumps([to_text(at), str(row_id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(place.encode()).decode()


def _not_ours() -> Problem:
    return invalid("cursor", "this is not a cursor that was given out")
