"""What cannot be processed: it goes to `<topic>.dead-letter` with the reason and its origin."""

import base64
import json
import traceback
from dataclasses import dataclass
from typing import Any

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import Destination, OutboxRecord
from libs.chassis.exactly_once.publisher import Publisher
from libs.chassis.exactly_once.records import Condemned, Incoming

SUFFIX = ".dead-letter"
_LONGEST_FAULT = 20_000
_LONGEST_KEY = 1000
_ENVELOPE_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Origin:
    """Who gave up on a record, and which topic it was read from."""

    service: str
    topic: str


def dead_letter(
    incoming: Incoming[Any], origin: Origin, source: str, publisher: Publisher
) -> OutboxRecord:
    """Write the record that tells of a record nobody can process."""
    place = Destination(origin.topic, incoming.partition)
    body = {
        "offset": incoming.offset,
        "service": origin.service,
        "reason": incoming.fault or "",
    }
    key, value = incoming.key or b"", incoming.value or b""
    return _letter(OutboxRecord(source, place, key, value), body, publisher)


def letter_for_condemned(
    condemned: Condemned, origin: Origin, source: str, publisher: Publisher
) -> OutboxRecord:
    """Write the record that tells of a message nobody can process, though its cause was applied."""
    message = condemned.message
    place = publisher.destination(message)
    body = {
        "offset": None,  # it was never written to its topic
        "caused_by": {"topic": origin.topic, "partition": condemned.caused_by},
        "service": origin.service,
        "reason": condemned.fault,
    }
    record = OutboxRecord(source, place, message.key.encode(), message.body())
    return _letter(record, body, publisher)


def _letter(about: OutboxRecord, body: dict[str, Any], publisher: Publisher) -> OutboxRecord:
    to = Destination(about.destination.topic + SUFFIX, about.destination.partition)
    whole = {
        "topic": about.destination.topic,
        "partition": about.destination.partition,
        **body,
        "time": Clock().now().isoformat(),
        "reason": body["reason"][:_LONGEST_FAULT],
        "key": about.key[:_LONGEST_KEY].decode("utf-8", "replace"),  # for people
        **_value(about, publisher.room_in(to.topic)),
    }
    return OutboxRecord(about.source, to, about.key, json.dumps(whole).encode())


def _value(about: OutboxRecord, room: int) -> dict[str, Any]:
    """Give the value as it fits: a letter that could not be published would stop its partition."""
    # Reason and key may grow sixfold as JSON: half a character becomes \udc80.
    left = room - len(about.key) - 6 * (_LONGEST_FAULT + _LONGEST_KEY) - _ENVELOPE_BYTES
    fits = max(0, left) // 4 * 3
    value = {"value_base64": base64.b64encode(about.value[:fits]).decode()}
    return value if len(about.value) <= fits else {**value, "value_cut_from": len(about.value)}


def reason_for(error: BaseException) -> str:
    """Describe an exception with its stack."""
    return "".join(traceback.format_exception(error))
