"""What all tests share: a Kafka and a PostgreSQL for the session, and saying which they were."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.chassis import failpoints
from libs.chassis.postgres.pool import Pool, open_pool
from libs.local.kafka import Kafka
from libs.local.outside import Outside
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from libs.local.stack import Stack, running
from tests.support.brokers import PARTITIONS, broker_for_tests, is_real
from tests.support.migrated_databases import MigratedDatabases

DAY_IN_SECONDS = 8
_used: dict[str, str] = {}
_skipped: list[str] = []


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    broker = broker_for_tests(tmp_path_factory.mktemp("kafka"))
    broker.start()
    _used["Kafka"] = broker.version
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = Postgres(tmp_path_factory.mktemp("postgres") / "data", free_port())
    server.start()
    _used["PostgreSQL"] = server.version
    yield server
    server.stop("immediate")


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> MigratedDatabases:
    """Databases with the schema of a service."""
    return MigratedDatabases(postgres)


@pytest.fixture
def database(postgres: Postgres) -> str:
    """The address of a new, empty database."""
    number = len(postgres.passwords)
    name = f"test_{number}"
    postgres.add_database(name)
    return postgres.url(name)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with open_pool(database) as opened:
        yield opened


@pytest.fixture(scope="session")
def stack(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole stack: real processes, a clock on which a day lasts some seconds.

    There is one for all tests: two on one broker would be members of the same groups.
    """
    folder = tmp_path_factory.mktemp("stack")
    speed = 86_400 / DAY_IN_SECONDS
    settings = {"MILLRACE_SENDER_LEASE_SECONDS": "3"}  # what a dead sender held goes on soon
    whole = Stack(
        folder,
        kafka=kafka,
        clock_speed=speed,
        partitions=PARTITIONS,
        settings=settings,
        usual_ports=False,
    )
    with running(whole) as started:
        yield started


@pytest.fixture
def outside(stack: Stack) -> Iterator[Outside]:
    with Outside(stack) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_failpoints() -> Iterator[None]:
    yield
    failpoints.forget()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real_broker") is None:
        return
    probe = broker_for_tests(Path(os.devnull))
    if not is_real(probe):
        _skipped.append(item.nodeid)
        pytest.skip("needs Apache Kafka itself")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, version in _used.items():
        terminalreporter.write_line(f"{name}: {version}")
    if _skipped:
        terminalreporter.write_line(
            f"SKIPPED FOR WANT OF A REAL BROKER: {', '.join(_skipped)}", red=True, bold=True
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("MILLRACE_REQUIRE_REAL_BROKER"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
