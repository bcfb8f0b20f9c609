"""What tests of the executor share: one without Kafka, a mail server, sending processes."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from libs.chassis.postgres.pool import Pool
from tests.support.executor import Executor
from tests.support.migrated_databases import MigratedDatabases
from tests.support.sending import OwnerFake, Sender
from tests.support.smtp_server import SmtpServerFake, smtp_server


@pytest.fixture
def database(migrated: MigratedDatabases) -> str:
    """A new database with the schema of the service."""
    return migrated.copy_of("step_executor")


@pytest.fixture
async def executor(pool: Pool) -> Executor:
    return await Executor.ready(pool)


@pytest.fixture
async def mail_server() -> AsyncIterator[SmtpServerFake]:
    async with smtp_server() as fake:
        yield fake


SenderMaker = Callable[..., Sender]


@pytest.fixture
async def a_sender(executor: Executor, mail_server: SmtpServerFake) -> AsyncIterator[SenderMaker]:
    """Make sending processes that reach the mail server."""
    made: list[Sender] = []

    def make(owner: OwnerFake | None = None, **changes: Any) -> Sender:
        made.append(Sender(executor, changes.pop("port", mail_server.port), owner, **changes))
        return made[-1]

    yield make
    for sender in made:
        await sender.server.close()
        await sender.caller.close()
