"""What was measured: said at once, kept as JSON, compared with the goals at the end."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from libs.local.kafka import ROOT

PLACE = ROOT / ".run" / "bench.json"
_NAME_WIDTH = 44


@dataclass(frozen=True)
class Goal:
    """Where a figure should come to lie."""

    at_most: float | None = None
    at_least: float | None = None

    def met_by(self, value: float) -> bool:
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        if self.at_most is not None:
            return f"<= {_number(self.at_most)}"
        return f">= {_number(self.at_least or 0)}"


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    goal: Goal | None = None

    def line(self) -> str:
        return f"{self.name:<{_NAME_WIDTH}} {_number(self.value):>12} {self.unit}"


@dataclass
class Report:
    conditions: dict[str, str | int] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.conditions |= {"began": datetime.now(UTC).isoformat(), "cores": os.cpu_count() or 0}

    def note(self, name: str, what: str | int) -> None:
        """Keep a condition under which something was measured."""
        if self.conditions.get(name) != what:
            self.conditions[name] = what
            say(f"{name}: {what}")

    def add(self, name: str, value: float, unit: str, goal: Goal | None = None) -> None:
        self.figures.append(Figure(name, value, unit, goal))
        say(self.figures[-1].line())

    def keep(self, place: Path = PLACE) -> None:
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(asdict(self), indent=2) + "\n")
        say(f"Kept as {place}")

    def compare(self) -> None:
        """Print the figures that have a goal beside it."""
        for line in _table(self.figures):
            say(line)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _table(figures: Iterable[Figure]) -> Iterator[str]:
    with_goal = [(one, one.goal) for one in figures if one.goal]
    if with_goal:
        yield f"\n{'':<{_NAME_WIDTH}} {'measured':>12} {'goal':>12}"
    for one, goal in with_goal:
        mark = "" if goal.met_by(one.value) else "  missed"
        told = f"{one.name:<{_NAME_WIDTH}} {_number(one.value):>12} {goal!s:>12}"
        yield f"{told} {one.unit}{mark}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"
