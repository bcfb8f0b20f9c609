"""Every SQL statement is prepared against the migrated schema: a wrong column fails here."""

import re
from pathlib import Path

import aiosql
import pytest

from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool
from libs.local.kafka import ROOT

CHASSIS = [
    ROOT / "libs/chassis/exactly_once/positions.sql",
    ROOT / "libs/chassis/exactly_once/outbox.sql",
    ROOT / "libs/chassis/exactly_once/seen_events.sql",
    ROOT / "libs/chassis/postgres/partitions.sql",
]
SERVICES = sorted(path.parent for path in (ROOT / "services").glob("*/store"))
_NAME = re.compile(r"^-- name: (\w+)\(([^)]*)\)[\^$!]?$", re.MULTILINE)


def statement_files(service: Path) -> list[Path]:
    return [*CHASSIS, *sorted((service / "store").glob("*.sql"))]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
async def test_every_statement_fits_the_schema(service: Path, pool: Pool) -> None:
    await migrate(pool, service / "migrations")
    prepared = 0
    async with pool.acquire() as connection:
        for path in statement_files(service):
            queries = aiosql.from_path(path, "asyncpg", mandatory_parameters=False)
            for name in queries.available_queries:
                if not name.endswith("_cursor"):
                    await connection.prepare(getattr(queries, name).sql)
                    prepared += 1
    assert prepared >= 10


def every_sql_file() -> list[Path]:
    return sorted({*CHASSIS, *(ROOT / "services").glob("*/store/*.sql")})


@pytest.mark.parametrize("path", every_sql_file(), ids=lambda path: "/".join(path.parts[-3:]))
def test_every_statement_is_named_described_and_used(path: Path) -> None:
    sql = path.read_text()
    code = path.with_suffix(".py").read_text()
    names = [match[1] for match in _NAME.finditer(sql)]
    assert sql.count("-- name:") == len(names), "a statement lacks its parameter list"
    for name in names:
        assert re.search(rf"queries\.{name}\b", code), f"{name} is not called by its store"
        after = sql.split(f"-- name: {name}(")[1].split("\n", 2)[1]
        assert after.startswith("-- "), f"{name} has no description"


def test_sql_lives_in_stores_and_the_chassis_alone() -> None:
    sql = re.compile(r'"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE) ')
    allowed = {
        "libs/chassis/postgres/migrations.py",
        "libs/chassis/postgres/pool.py",
        "libs/chassis/process/maintenance.py",
        "libs/local/postgres.py",
    }
    for path in [*(ROOT / "services").rglob("*.py"), *(ROOT / "libs").rglob("*.py")]:
        name = str(path.relative_to(ROOT))
        if name not in allowed:
            assert not sql.search(path.read_text()), f"{name} holds SQL"
