"""What is measured on: Apache Kafka, PostgreSQL and stacks, new ones for every bench.

Two stacks on one broker would read each other's records, so nothing is shared.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from libs.local.kafka import Kafka
from libs.local.ports import free_port
from libs.local.postgres import Postgres
from libs.local.stack import Stack, running
from tests.bench.report import Report
from tests.support.brokers import broker_for_tests, is_real

STACK_PARTITIONS = 8


class NoRealBroker(Exception):  # noqa: N818  (a fact about this machine)
    """Only librdkafka's in-memory broker can be had here, and its speed says nothing."""


@dataclass(frozen=True)
class Ground:
    """Where a bench gets what it measures on, and where its figures go."""

    report: Report

    @contextmanager
    def folder(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix="millrace-bench-") as name:
            yield Path(name)

    @contextmanager
    def postgres(self, folder: Path) -> Iterator[Postgres]:
        server = Postgres(folder / "postgres" / "data", free_port())
        server.start()
        self.report.note("PostgreSQL", server.version)
        try:
            yield server
        finally:
            server.stop("immediate")

    @contextmanager
    def kafka(self, folder: Path) -> Iterator[Kafka]:
        broker = broker_for_tests(folder)
        if not is_real(broker):
            raise NoRealBroker
        broker.start()
        self.report.note("Kafka", broker.version)
        try:
            yield broker
        finally:
            broker.stop()

    @contextmanager
    def stack(self, clock_speed: float = 1.0) -> Iterator[Stack]:
        """Run all four services, set up as in production except for the clock."""
        with self.folder() as folder, self.kafka(folder) as kafka:
            stack = Stack(
                folder / "stack",
                kafka=kafka,
                clock_speed=clock_speed,
                partitions=STACK_PARTITIONS,
                usual_ports=False,
            )
            with running(stack):
                self.report.note("PostgreSQL", stack.postgres.version)
                yield stack


def processes(stack: Stack) -> dict[str, int]:
    """Name the processes of a stack; a Kafka that runs elsewhere is not among them."""
    return {reference.name: reference.pid for reference in stack.references()}
