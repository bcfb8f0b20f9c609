"""Records as the world may send them: each bad one is put aside with its reason, none in its way.

Nothing here is ours to trust: values, keys and headers come from whoever may write to the topic.
"""

import asyncio
import json
from collections import Counter
from uuid import uuid4

import pytest

from libs.chassis.exactly_once.dead_letters import SUFFIX
from libs.chassis.exactly_once.records import SEQUENCE_HEADER
from libs.local.kafka import Kafka
from tests.integration.chassis.test_batches import _nothing_unsent
from tests.support.echo_service import PARTITIONS, node
from tests.support.log_reading import Record, everything_in, note, write
from tests.support.waiting import eventually

WHO = "somebody"

BAD_VALUES: dict[str, bytes | None] = {
    "no value": None,
    "nothing": b"",
    "no JSON": b"{broken",
    "no UTF-8": b'{"who": "\xff\xfe", "number": 1}',
    "half a character": b'{"who": "\\ud800", "number": 1}',
    "a zero in a text": b'{"who": "a\\u0000b", "number": 1}',
    "another type": b'{"who": "somebody", "number": "one"}',
    "a number that fits no column": b'{"who": "somebody", "number": 99999999999}',
    "a number that fits nothing": b'{"who": "somebody", "number": 1' + b"0" * 5000 + b"}",
    "too deep": b'{"who": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "as large as the topic takes": b"x" * 1_000_000,
}
BAD_HEADERS: dict[str, list[tuple[str, bytes | None]]] = {
    "nothing in it": [(SEQUENCE_HEADER, None)],
    "no source": [(SEQUENCE_HEADER, b"#1")],
    "no number": [(SEQUENCE_HEADER, b"up#")],
    "a source without a number": [(SEQUENCE_HEADER, b"up")],
    "no digits": [(SEQUENCE_HEADER, b"up#first")],
    "less than one": [(SEQUENCE_HEADER, b"up#0")],
    "more than a column takes": [(SEQUENCE_HEADER, b"up#" + b"9" * 30)],
    "a source without end": [(SEQUENCE_HEADER, b"u" * 5000 + b"#1")],
    "a zero in the source": [(SEQUENCE_HEADER, b"u\x00p#1")],
    "no UTF-8 in the source": [(SEQUENCE_HEADER, b"\xff\xfe#1")],
}


@pytest.fixture
def names() -> tuple[str, str]:
    tag = uuid4().hex[:8]
    return f"in.{tag}", f"out.{tag}"


def letters_in(servers: str, topic: str) -> list[dict[str, object]]:
    letters = everything_in(servers, topic + SUFFIX, PARTITIONS)
    return [json.loads(letter.value()) for letter in letters]


async def one_bad_among_good(
    servers: str, url: str, names: tuple[str, str], bad: list[Record]
) -> None:
    """Each bad record stands between two good ones: all good are kept, all bad are told of."""
    records = [note(WHO, 0)]
    for number, one in enumerate(bad, 1):
        records += [one, note(WHO, number)]
    expected = Counter({(WHO, number): 1 for number in range(len(bad) + 1)})
    async with node(url, servers, names) as echo:
        await asyncio.to_thread(write, servers, names[0], records)

        async def all_kept() -> bool:
            kept: int = await echo.pool.fetchval("SELECT count(*) FROM heard")
            return kept >= len(expected)

        await eventually(all_kept, "the good notes", 20)
        rows = await echo.pool.fetch("SELECT who, number FROM heard")
        assert Counter((row["who"], row["number"]) for row in rows) == expected
        await eventually(lambda: _nothing_unsent(echo.pool), "the dead letters to be sent")
    told = letters_in(servers, names[0])
    assert [one["offset"] for one in told] == [2 * number + 1 for number in range(len(bad))]


@pytest.mark.parametrize("what", BAD_VALUES)
async def test_a_bad_value_is_put_aside(
    kafka: Kafka, database: str, names: tuple[str, str], what: str
) -> None:
    bad: Record = (WHO, BAD_VALUES[what], [])
    await one_bad_among_good(kafka.bootstrap_servers, database, names, [bad])


@pytest.mark.parametrize("what", BAD_HEADERS)
async def test_a_bad_number_is_put_aside(
    kafka: Kafka, database: str, names: tuple[str, str], what: str
) -> None:
    bad = (WHO, note(WHO, 50)[1], BAD_HEADERS[what])
    await one_bad_among_good(kafka.bootstrap_servers, database, names, [bad, bad])
