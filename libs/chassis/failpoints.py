"""Named places where a process can be made to die, to prove that it does no harm.

`MILLRACE_CRASH_POINTS=after_commit@3,mid_publish@1` kills the process (SIGKILL, no clean-up) when
it comes to `after_commit` for the third time, or to `mid_publish` for the first. Every hit is
counted. Tests in one process put an action of their own in place instead.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

POINTS = (
    "before_transaction",
    "after_compare_and_set",
    "before_commit",
    "after_commit",
    "mid_publish",
    "after_acknowledgement",
    "after_claim",
    "before_send",
    "after_send",
    "after_recording",
    "before_page_generated",
    "after_page_generated",
)
"""Every point, in the order a batch comes to them; then four of a delivery, and two of a page."""

hits: Counter[str] = Counter()
"""How often each point was reached in this process."""

_actions: dict[str, Callable[[int], None]] = {}


def reach(point: str) -> None:
    """Come to a point; what was planned for it happens here."""
    hits[point] += 1
    if action := _actions.get(point):
        action(hits[point])


def plan(point: str, action: Callable[[int], None]) -> None:
    """Let an action run at a point; it gets the number of the hit."""
    if point not in POINTS:
        raise ValueError(f"MILLRACE_CRASH_POINTS: there is no point called {point}")
    _actions[point] = action


def forget() -> None:
    """Take every planned action back and start counting anew."""
    _actions.clear()
    hits.clear()


def plan_crashes(specification: str, log: Path | None = None) -> None:
    """Read `point@hit,...` and plan to die there.

    Args:
        specification: The points; empty for none.
        log: A file that gets a line for each crash, so that a test can count them.

    Raises:
        ValueError: If a point is unknown or a number is none.
    """
    for part in filter(None, specification.split(",")):
        point, _, number = part.partition("@")
        plan(point.strip(), _crash(point.strip(), int(number or 1), log))


def _crash(point: str, number: int, log: Path | None) -> Callable[[int], None]:
    def die(hit: int) -> None:
        if hit == number:
            if log:
                with log.open("a") as lines:
                    lines.write(f"{point}@{hit}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    return die
