"""Pages of rows that carry how many there are in all."""

from collections.abc import Callable
from typing import Any

from libs.chassis.postgres.pool import Pool


async def read_page(
    statement: Callable[..., Any], pool: Pool, key: str, query: dict[str, Any]
) -> tuple[list[dict[str, Any]], int]:
    """Run a paged statement; give its rows and the total.

    Every row carries the total. A page past the end is one row with nothing else in it.

    Args:
        statement: The statement.
        pool: Where to run it.
        key: A column that is never null, except in such a row.
        query: The statement's parameters.
    """
    rows = [dict(row) async for row in statement(pool, **query)]
    return [row for row in rows if row[key] is not None], rows[0]["total"]
