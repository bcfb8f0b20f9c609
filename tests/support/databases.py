"""Looking into the services' databases, for what no API tells."""

import asyncio
from typing import Any

import asyncpg

from libs.local.stack import Stack


def ask(stack: Stack, service: str, statement: str, *values: object) -> list[Any]:
    """Ask a service's database; give the rows."""

    async def asking() -> list[Any]:
        connection = await asyncpg.connect(stack.postgres.url(service))
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    return asyncio.run(asking())
