"""Small parts of the chassis."""

import logging
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis import failpoints
from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import pack, unpack
from libs.chassis.kafka.partitioning import murmur2
from libs.chassis.outages import NotYet, concerns_all, is_fault, is_outage
from libs.chassis.process.settings import ServiceSettings, SettingsError, read_settings
from libs.chassis.telemetry.logs import _Sparing

NEEDED = {"DATABASE_URL": "postgresql://u:p@h/d", "KAFKA_BOOTSTRAP_SERVERS": "h:9092"}


@given(st.lists(st.tuples(st.binary(max_size=50), st.binary(max_size=300))))
def test_chunks_come_out_as_they_went_in(records: list[tuple[bytes, bytes]]) -> None:
    assert list(unpack(pack(records))) == records


@given(st.floats(1, 1e6), st.timedeltas(timedelta(0), timedelta(days=1)))
def test_a_fast_clock_keeps_the_order_and_agrees_everywhere(speed: float, later: timedelta) -> None:
    origin = datetime(2026, 1, 1, tzinfo=UTC)
    clock = Clock(speed, origin)
    assert clock.from_real(origin) == origin
    assert clock.from_real(origin + later) - origin >= later * 0.999
    assert Clock(speed, origin).from_real(origin + later) == clock.from_real(origin + later)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "KAFKA_BOOTSTRAP_SERVERS"),
        ({"MILLRACE_HTTP_PORT": "ninety"}, "MILLRACE_HTTP_PORT"),
        ({"MILLRACE_PARTITIONS": "0"}, "MILLRACE_PARTITIONS"),
        ({"MILLRACE_CLOCK_SPEED": "60"}, "MILLRACE_CLOCK_SPEED: production runs at speed 1"),
        ({"MILLRACE_CLOCK_SPEED": "60", "MILLRACE_ENVIRONMENT": "development"},
         "MILLRACE_CLOCK_ORIGIN"),
        ({"MILLRACE_CRASH_POINTS": "after_commit@1"}, "MILLRACE_CRASH_POINTS: not in production"),
    ],
)  # fmt: skip
def test_a_bad_variable_is_named(
    changes: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**NEEDED, **changes}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        read_settings(ServiceSettings)


def test_what_passes_is_told_from_faults() -> None:
    outages = (KafkaConnectionError(), OSError(), TimeoutError(),
               asyncpg.CannotConnectNowError(), asyncpg.DeadlockDetectedError())  # fmt: skip
    conditions = (NotYet(), asyncpg.UndefinedColumnError(), asyncpg.InvalidCachedStatementError())
    faults = (ValueError(), KeyError(), asyncpg.UniqueViolationError(), asyncpg.DataError(),
              asyncpg.RaiseError())  # fmt: skip
    assert [is_outage(one) for one in (*outages, *conditions, *faults)] == [True] * 8 + [False] * 5
    assert [is_fault(one) for one in (*outages, *conditions, *faults)] == [False] * 8 + [True] * 5
    assert [concerns_all(one) for one in (*outages, *conditions)] == [True] * 5 + [False] * 3


@given(st.binary(max_size=60))
def test_keys_are_hashed_as_other_clients_do(key: bytes) -> None:
    assert murmur2(key) == aiokafka_murmur2(key) & 0xFFFFFFFF


def test_points_count_their_hits() -> None:
    seen: list[int] = []
    failpoints.plan("after_commit", seen.append)
    for _ in range(3):
        failpoints.reach("after_commit")
    failpoints.reach("mid_publish")
    assert seen == [1, 2, 3]
    assert failpoints.hits == {"after_commit": 3, "mid_publish": 1}


def test_libraries_do_not_repeat_themselves_without_end() -> None:
    sparing = _Sparing(every_seconds=10.0)

    def says(name: str, at: float, text: str = "Unable to connect to %s") -> bool:
        record = logging.LogRecord(name, logging.ERROR, "", 0, text, ("broker",), None)
        record.created = at
        return sparing.filter(record)

    assert [says("aiokafka.client", at) for at in (100.0, 101.0, 109.9, 110.0)] == [
        True, False, False, True,
    ]  # fmt: skip
    assert says("aiokafka.client", 111.0, "something else")
    assert says("libs.chassis.exactly_once.reader", 111.0)
    assert says("libs.chassis.exactly_once.reader", 111.0), "what is ours is always said"
