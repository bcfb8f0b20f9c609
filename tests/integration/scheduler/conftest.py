"""What tests of the scheduler share: its schema."""

import pytest

from tests.support.migrated_databases import MigratedDatabases


@pytest.fixture
def database(migrated: MigratedDatabases) -> str:
    """A new database with the schema of the service."""
    return migrated.copy_of("scheduler")
