"""What a service does by itself, again and again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Something a service does by itself until the event is set."""


def every(seconds: float, work: Callable[[], Awaitable[None]]) -> Loop:
    """Make a loop that does some work again and again, with a pause between."""

    async def loop(stopping: asyncio.Event) -> None:
        while not await pause(stopping, seconds):
            await work()

    return loop


async def pause(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait, but not longer than until the process is told to stop; True if it was."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
    return stopping.is_set()
