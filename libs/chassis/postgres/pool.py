"""Pools of connections, and transactions."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from pydantic_core import from_json, to_json

Transaction: TypeAlias = "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]"
"""A connection inside a transaction. Only the chassis opens and commits one."""

Pool: TypeAlias = "asyncpg.Pool[Any]"

Reads: TypeAlias = (
    "asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any] | asyncpg.Pool[Any]"
)
"""Anything to read from: inside a transaction, or beside all of them."""

_ARRAYS = """
    SELECT $1::uuid[], $2::int[], $3::bigint[], $4::float8[], $5::boolean[], $6::text[],
           $7::bytea[], $8::json[], $9::jsonb[], $10::timestamptz[]"""
"""What our statements take. A connection asks the database how each type is written when it first
meets it, which takes longer than most statements: so it asks once, for all of them."""


@asynccontextmanager
async def open_pool(
    url: str, *, max_size: int = 10, planner: Mapping[str, str] | None = None
) -> AsyncIterator[Pool]:
    """Open a pool; JSON columns become Python values and back. Closed at the end.

    Args:
        url: Where the database is.
        max_size: How many connections there may be.
        planner: Settings of PostgreSQL's planner that the service wants.
    """
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=max_size,
        timeout=10,
        command_timeout=60,
        init=_prepare_connection,
        reset=_keep_as_it_is,
        server_settings={
            "application_name": "millrace",
            "statement_timeout": "60000",
            "idle_in_transaction_session_timeout": "60000",
            "jit": "off",  # no statement of ours runs long enough to be worth compiling
            **(planner or {}),
        },
    )
    try:
        yield pool
    finally:
        # A connection that hangs must not keep the process from ending.
        pool.terminate()


async def _prepare_connection(connection: "asyncpg.Connection[Any]") -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, encoder=_to_json, decoder=from_json, schema="pg_catalog"
        )
    await connection.prepare(_ARRAYS)


def _to_json(value: Any) -> str:
    return to_json(value).decode()


async def _keep_as_it_is(_connection: "asyncpg.Connection[Any]") -> None:
    """Give a connection back without a round trip: nobody sets anything beyond a transaction."""


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Transaction]:
    """Begin a transaction on a connection of the pool; commit at the end, roll back on an error."""
    async with pool.acquire() as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def snapshot(pool: Pool) -> AsyncIterator[Transaction]:
    """Read several things as they were at one moment; nothing can be written."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
