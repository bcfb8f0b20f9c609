"""What only the chassis may do: commit, publish, read the clock. And tests do not sleep."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.local.kafka import ROOT


def attribute_calls(path: Path) -> Iterator[tuple[str, str, int]]:
    """Give (object, attribute, line) of every call of an attribute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr, node.lineno


def outside_the_chassis() -> list[Path]:
    folders = ("services", "libs/domain", "libs/contracts")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("attribute", ["commit", "transaction", "send_and_wait", "send_batch"])
def test_only_the_chassis_commits_and_sends(attribute: str) -> None:
    for path in outside_the_chassis():
        for owner, called, line in attribute_calls(path):
            assert called != attribute, f"{path}:{line} {owner}.{called}"


def test_only_use_cases_of_the_api_publish_beside_an_outbox() -> None:
    for path in outside_the_chassis():
        if path.relative_to(ROOT).parts[:3] != ("services", "api", "use_cases"):
            for owner, called, line in attribute_calls(path):
                where = f"{path}:{line} {owner}.{called}"
                assert called not in {"publish", "publish_all"}, where


def test_only_the_clock_reads_the_time() -> None:
    for path in [*outside_the_chassis(), *(ROOT / "libs/chassis").rglob("*.py")]:
        if path.name == "clock.py":
            continue
        for owner, called, line in attribute_calls(path):
            assert not (owner == "datetime" and called in {"now", "today", "utcnow"}), (path, line)


def test_tests_wait_for_events_and_not_for_time() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name != "waiting.py":
            for owner, called, line in attribute_calls(path):
                assert (owner, called) not in {("asyncio", "sleep"), ("time", "sleep")}, (
                    path,
                    line,
                )


def test_the_domain_needs_pydantic_alone() -> None:
    blocked = ("asyncpg", "aiokafka", "faststream", "fastapi", "structlog", "aiosql", "starlette")
    program = (
        "import sys, pkgutil, importlib\n"
        f"sys.modules.update(dict.fromkeys({blocked!r}))\n"
        "import libs.domain\n"
        "for found in pkgutil.walk_packages(libs.domain.__path__, 'libs.domain.'):\n"
        "    importlib.import_module(found.name)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)  # noqa: S603
