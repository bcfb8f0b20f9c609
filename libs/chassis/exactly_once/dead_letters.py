"""What cannot be processed: it goes to `<topic>.dead-letter` with the reason and its origin."""

import base64
import json
import traceback
from dataclasses import dataclass
from typing import Any

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import Destination, OutboxRecord
from libs.chassis.exactly_once.records import Incoming

SUFFIX = ".dead-letter"
_LONGEST_FAULT = 20_000
_LONGEST_KEY = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Who gave up on a record, and which topic it was read from."""

    service: str
    topic: str


def dead_letter(incoming: Incoming[Any], origin: Origin, source: str) -> OutboxRecord:
    """Write the record that tells of a record nobody can process."""
    body = {
        "topic": origin.topic,
        "partition": incoming.partition,
        "offset": incoming.offset,
        "service": origin.service,
        "time": Clock().now().isoformat(),
        "reason": (incoming.fault or "")[:_LONGEST_FAULT],
        "key": _text(incoming.key),  # for people; the letter's own key is the whole one
        "value_base64": base64.b64encode(incoming.value or b"").decode(),
    }
    to = Destination(origin.topic + SUFFIX, incoming.partition)
    return OutboxRecord(source, to, incoming.key or b"", json.dumps(body).encode())


def reason_for(error: BaseException) -> str:
    """Describe an exception with its stack."""
    return "".join(traceback.format_exception(error))


def _text(key: bytes | None) -> str | None:
    return None if key is None else key[:_LONGEST_KEY].decode("utf-8", "replace")
