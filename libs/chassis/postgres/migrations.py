"""Numbered .sql files, applied once each, in order, by one process at a time.

The chassis's own come first, then the service's. A file that was changed after it was applied is
refused, because databases that have it would differ from those that get it anew.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry.logs import logger

_LOCK = 0x4D_49_4C_4C  # "MILL": one migrating process per database
_LONGEST_SECONDS = 24 * 3600.0
_OWN = Path(__file__).parents[1] / "exactly_once" / "migrations"
_log = logger(__name__)


class MigrationChanged(Exception):  # noqa: N818  (a fact, not a fault of the program)
    """A migration that was already applied has another text now."""


async def migrate(pool: Pool, folder: Path) -> None:
    """Bring a database to the newest schema.

    Args:
        pool: The service's own database.
        folder: The service's migrations.

    Raises:
        MigrationChanged: If a file differs from what was applied under its name.
    """
    async with transaction(pool) as tx:
        # Rewriting a large table takes as long as it takes, and so does waiting for who does it.
        await tx.execute("SET LOCAL statement_timeout = 0")
        await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK, timeout=_LONGEST_SECONDS)
        await tx.execute(
            "CREATE TABLE IF NOT EXISTS migration "
            "(name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz DEFAULT now())"
        )
        applied = {row["name"]: row["digest"] for row in await tx.fetch("SELECT * FROM migration")}
        for name, sql in _files(folder):
            await _apply(tx, name, sql, applied.get(name))


def _files(folder: Path) -> Iterable[tuple[str, str]]:
    for prefix, place in (("chassis", _OWN), ("service", folder)):
        for path in sorted(place.glob("*.sql")):
            yield f"{prefix}/{path.name}", path.read_text()


async def _apply(tx: Transaction, name: str, sql: str, applied: str | None) -> None:
    digest = hashlib.sha256(sql.encode()).hexdigest()
    if applied == digest:
        return
    if applied is not None:
        raise MigrationChanged(f"{name} was changed after it was applied; add a new file instead")
    await tx.execute(sql, timeout=_LONGEST_SECONDS)
    await tx.execute("INSERT INTO migration (name, digest) VALUES ($1, $2)", name, digest)
    _log.info("migration.applied", name=name)
