"""A reader finds anything by its name."""

import re
from pathlib import Path

from libs.contracts import topics
from libs.local.kafka import ROOT

VAGUE = {"utils", "helpers", "common", "misc", "manager", "base", "service", "core", "tools"}
TOPICS = {topic.name.replace(".", "_"): topic.name for topic in topics.SPOKEN}


def handlers() -> list[Path]:
    return sorted(
        path for path in (ROOT / "services").glob("*/handlers/*.py") if path.stem != "__init__"
    )


def test_no_module_has_a_vague_name() -> None:
    everything = [*(ROOT / "libs").rglob("*"), *(ROOT / "services").rglob("*")]
    assert [str(path) for path in everything if path.stem in VAGUE] == []


def test_every_handler_is_named_after_a_topic() -> None:
    assert [str(path) for path in handlers() if path.stem not in TOPICS] == []


def test_every_topic_has_a_contract_and_somebody_who_listens() -> None:
    heard = {path.stem for path in handlers()} | {"command_replies"}
    for stem in TOPICS:
        assert (ROOT / "libs/contracts" / f"{stem}.py").exists(), stem
        assert stem in heard, f"nobody listens to {stem}"


def test_the_deployed_topics_are_the_ones_in_the_code() -> None:
    listed = (ROOT / "deploy/topics.yaml").read_text()
    for topic in topics.ALL:
        partitions = topic.partitions or "default"
        row = (
            f"- {{name: {topic.name}, partitions: {partitions}, "
            f"cleanup_policy: {topic.cleanup_policy}, retention_ms: {topic.retention_ms}, "
            f"max_message_bytes: {topic.max_message_bytes}}}"
        )
        assert row in listed, f"deploy/topics.yaml lacks: {row}"


def test_the_readme_says_who_consumes_what() -> None:
    readme = (ROOT / "README.md").read_text()
    for service in sorted(path.parent.name for path in (ROOT / "services").glob("*/handlers")):
        row = re.search(rf"^\| `{service}` \| ([^|]*)\|", readme, re.MULTILINE)
        assert row, f"the README's table has no row for {service}"
        told = set(re.findall(r"`([\w.]+)`", row[1])) - {"command.replies"}
        real = {TOPICS[path.stem] for path in handlers() if path.parent.parent.name == service}
        assert told == real, service
