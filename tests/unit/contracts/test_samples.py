"""Every message ever published still parses, and says all that it said when it is written again.

tests/samples/<topic>.jsonl holds one line per kind of message. Lines are added, never changed: old
records stay in Kafka, and old writers run beside new readers.
"""

import importlib
import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from libs.contracts import topics

SAMPLES = Path(__file__).parents[2] / "samples"
STEMS = [topic.name.replace(".", "_") for topic in topics.SPOKEN]


def lines(stem: str) -> list[str]:
    return (SAMPLES / f"{stem}.jsonl").read_text().splitlines()


def without_later(written: Any, line: Any) -> Any:
    """Leave out of what is written now the fields that did not exist when a line was written."""
    if isinstance(line, dict) and isinstance(written, dict):
        return {key: without_later(written.get(key), value) for key, value in line.items()}
    if isinstance(line, list) and isinstance(written, list):
        pairs = zip_longest(written, line)
        return [without_later(ours, theirs) for ours, theirs in pairs]
    return written


@pytest.mark.parametrize("stem", STEMS)
def test_old_messages_are_read_and_written_alike(stem: str) -> None:
    adapter = importlib.import_module(f"libs.contracts.{stem}").ADAPTER
    for line in lines(stem):
        message = adapter.validate_json(line)
        old = json.loads(line)
        assert without_later(json.loads(message.body()), old) == old
        assert message.topic.name == stem.replace("_", ".", 1)


@pytest.mark.parametrize("stem", STEMS)
def test_what_is_not_known_is_ignored(stem: str) -> None:
    adapter = importlib.import_module(f"libs.contracts.{stem}").ADAPTER
    for line in lines(stem):
        newer = {**json.loads(line), "invented_later": {"x": 1}}
        assert adapter.validate_python(newer) == adapter.validate_json(line)


def test_keys_keep_a_contact_in_one_place() -> None:
    for stem in ("contact_events", "step_commands", "timer_commands", "membership_events"):
        adapter = importlib.import_module(f"libs.contracts.{stem}").ADAPTER
        for line in lines(stem):
            read, raw = adapter.validate_json(line), json.loads(line)
            whose = raw.get("subject") or raw.get("contact_id")
            assert whose is None or read.key == whose
