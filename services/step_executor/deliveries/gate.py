"""A gate that lets so many in at once. Those who wait before it can be turned away."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable


class Gate:
    """Who was let in leaves when done; who was turned away does not.

    Those who wait stand in lanes, and the lanes are let in one after the other: many in one of them
    delay those of another by one.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lanes: OrderedDict[Hashable, deque[asyncio.Future[bool]]] = OrderedDict()

    async def enter(self, lane: Hashable) -> bool:
        """Wait to be let in, in turn; False if turned away."""
        if self._free:
            self._free -= 1
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, deque()).append(place)
        return await place

    def leave(self) -> None:
        """Make room for the next one."""
        while self._lanes:
            if not (place := self._next()).done():  # a cancelled one waits no more
                place.set_result(True)
                return
        self._free += 1

    def _next(self) -> "asyncio.Future[bool]":
        lane, waiting = self._lanes.popitem(last=False)
        place = waiting.popleft()
        if waiting:
            self._lanes[lane] = waiting
        return place

    def turn_away(self) -> None:
        """Turn away all who wait now."""
        for waiting in self._lanes.values():
            for place in waiting:
                if not place.done():
                    place.set_result(False)
        self._lanes.clear()
