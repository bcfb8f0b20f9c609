"""A whole stack for the end-to-end tests: real processes, real Kafka, real Postgres, fast clock."""

from collections.abc import Iterator

import pytest

from libs.local.kafka import Kafka
from libs.local.outside import Outside
from libs.local.stack import Stack, running
from tests.support.brokers import PARTITIONS

DAY_IN_SECONDS = 8
"""How long a day lasts in these tests."""


@pytest.fixture(scope="session")
def stack(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    speed = 86_400 / DAY_IN_SECONDS
    with running(Stack(folder, kafka=kafka, clock_speed=speed, partitions=PARTITIONS)) as started:
        yield started


@pytest.fixture
def outside(stack: Stack) -> Iterator[Outside]:
    with Outside(stack) as opened:
        yield opened
