"""Waiting for something to become true: the only place in the tests that sleeps."""

import asyncio
import time
from collections.abc import Awaitable, Callable

SECONDS = 60.0


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = SECONDS
) -> None:
    """Wait until a condition holds; fail with `what` if it does not in time."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds:.0f} s: {what}")
        await asyncio.sleep(0.05)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """The same, where nothing is async."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds:.0f} s: {what}")
        time.sleep(0.05)
