"""Statements about the queue find their rows by an index, also where nothing was ever analyzed.

A queue is short when it is analyzed and long a minute later; what is planned for the short one
must do for the long one.
"""

import re
from pathlib import Path
from types import ModuleType

import aiosql
import pytest

from libs.chassis.postgres.pool import Transaction
from services.step_executor.store import contacts, deliveries, memberships, senders
from tests.support.executor import Executor
from tests.support.queues import fill_queue

LARGE = ("delivery", "membership", "contact")


def statements(*stores: ModuleType) -> list[tuple[str, str]]:
    found = []
    for store in stores:
        path = Path(store.__file__ or "").with_suffix(".sql")
        queries = aiosql.from_path(path, "asyncpg", mandatory_parameters=False)
        names = [one for one in queries.available_queries if not one.endswith("_cursor")]
        found += [(name, getattr(queries, name).sql) for name in names]
    return found


async def plan_of(connection: Transaction, sql: str) -> str:
    """Ask for the plan for any parameters; only how many rows are wanted is known."""
    sql = re.sub(r"LIMIT \$\d+::int", "LIMIT 64", sql)
    numbers = {int(number) for number in re.findall(r"\$(\d+)", sql)}
    nulls = ", ".join(["NULL"] * max(numbers, default=0))
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE asked AS {sql}")
    rows = await connection.fetch(f"EXPLAIN EXECUTE asked{f'({nulls})' if nulls else ''}")
    await connection.execute("DEALLOCATE asked")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("analyzed", [False, True], ids=["never analyzed", "analyzed when short"])
async def test_no_statement_reads_a_large_table_whole(
    executor: Executor, *, analyzed: bool
) -> None:
    if analyzed:
        await fill_queue(executor.pool, 100, first_workspace=7000, first=90_000)
        await executor.pool.execute("ANALYZE")
    await executor.pool.execute("ALTER TABLE delivery SET (autovacuum_enabled = off)")
    await executor.pool.execute("ALTER TABLE membership SET (autovacuum_enabled = off)")
    await executor.pool.execute("ALTER TABLE contact SET (autovacuum_enabled = off)")
    await fill_queue(executor.pool, 90_000, workspaces=20)
    whole = []
    async with executor.pool.acquire() as connection:
        for name, sql in statements(deliveries, senders, memberships, contacts):
            plan = await plan_of(connection, sql)
            whole += [(name, plan) for table in LARGE if f"Seq Scan on {table} " in plan]
    assert [name for name, _ in whole] == [], whole


async def test_no_queue_is_sorted_for_the_sake_of_its_head(executor: Executor) -> None:
    await executor.pool.execute("ALTER TABLE delivery SET (autovacuum_enabled = off)")
    await fill_queue(executor.pool, 90_000, workspaces=20)
    named = dict(statements(deliveries))
    async with executor.pool.acquire() as connection, connection.transaction():
        await deliveries.queries.read_in_order(connection)
        for name in ("claim", "make_due", "settled", "give_up", "waiting_targets"):
            plan = await plan_of(connection, named[name])
            assert "Sort" not in plan.replace("Sort Key", ""), plan
            assert "Bitmap" not in plan, plan
