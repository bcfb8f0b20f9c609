"""What a service does by itself, again and again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Something a service does by itself until the event is set."""


def every(seconds: float, work: Callable[[], Awaitable[bool | None]]) -> Loop:
    """Make a loop that does some work again and again, with a pause between.

    There is none after work that says that it has left some undone: it does a bounded part of it,
    so that others have their turn, and goes on.
    """

    async def loop(stopping: asyncio.Event) -> None:
        more: bool | None = False
        while not await pause(stopping, 0 if more else seconds):
            more = await work()

    return loop


async def pause(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait, but not longer than until the process is told to stop; True if it was."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
    return stopping.is_set()
