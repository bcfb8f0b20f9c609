"""Pages of rows that carry how many there are in all."""

from collections.abc import Callable
from typing import Any

from libs.chassis.postgres.pool import Pool


async def read_page(
    statement: Callable[..., Any], pool: Pool, query: dict[str, Any]
) -> tuple[list[dict[str, Any]], int]:
    """Run a paged statement; give its rows and the total.

    Every row carries the total. A page past the end has no row to say it, so the first row of all
    is asked then.
    """
    rows = [dict(row) async for row in statement(pool, **query)]
    told = rows
    if not rows and query["skip"]:
        told = [dict(row) async for row in statement(pool, **{**query, "skip": 0, "at_most": 1})]
    return rows, told[0]["total"] if told else 0
