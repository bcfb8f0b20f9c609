"""The whole life of a sender: its lease is kept until nothing is in its hands any more."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.step_executor.loops.keep_lease import KeepLease
from services.step_executor.loops.send_deliveries import SendDeliveries


class Closing(Protocol):
    """What holds connections."""

    async def close(self) -> None:
        """Close them."""


class BeASender:
    """Sends under a lease. Told to stop, it ends what is under way, then gives the lease up.

    While mails are still under way the lease goes on: else others would take them over, and a
    deploy would repeat them.
    """

    def __init__(
        self, keeping: KeepLease, sending: SendDeliveries, to_close: Sequence[Closing]
    ) -> None:
        self._keeping = keeping
        self._sending = sending
        self._to_close = to_close

    async def run(self, stopping: asyncio.Event) -> None:
        """Go on until told to stop."""
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeping.run(done))
            group.create_task(self._send(stopping, done))
        await self._keeping.leave()

    async def _send(self, stopping: asyncio.Event, done: asyncio.Event) -> None:
        try:
            await self._sending.run(stopping)
        finally:
            done.set()
            for one in self._to_close:
                await one.close()
