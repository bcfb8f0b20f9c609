"""The API's own database."""

import pytest

from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool
from libs.local.kafka import ROOT


@pytest.fixture
async def api_pool(pool: Pool) -> Pool:
    """A pool on an empty database with the API's schema."""
    await migrate(pool, ROOT / "services/api/migrations")
    return pool
