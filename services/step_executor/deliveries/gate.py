"""A gate that lets so many in at once. Those who wait before it can be turned away."""

import asyncio
from collections import deque


class Gate:
    """Who was let in leaves when done; who was turned away does not."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[asyncio.Future[bool]] = deque()

    async def enter(self) -> bool:
        """Wait to be let in, in turn; False if turned away."""
        if self._free:
            self._free -= 1
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        return await place

    def leave(self) -> None:
        """Make room for the next one."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():  # a cancelled one waits no more
                place.set_result(True)
                return
        self._free += 1

    def turn_away(self) -> None:
        """Turn away all who wait now."""
        for place in self._waiting:
            if not place.done():
                place.set_result(False)
        self._waiting.clear()
