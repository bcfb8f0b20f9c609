"""Keep this sender's lease; take over what senders that are gone have left."""

import asyncio
from uuid import UUID

from libs.chassis.outages import is_outage
from libs.chassis.postgres.pool import Pool, transaction
from libs.chassis.process.loops import pause
from libs.chassis.telemetry.logs import logger
from services.step_executor.deliveries.lease import Lease, Watch
from services.step_executor.deliveries.make_delivery import AMBIGUOUS
from services.step_executor.store import senders

TAKEOVERS_AT_MOST = 2
"""A delivery whose sender died is taken over and made alone, after the first death and after the
second; the third death fails it."""
_BEATS_PER_LEASE = 4
_log = logger(__name__)


class KeepLease:
    """The loop that beats, and watches the others' hearts."""

    def __init__(self, pool: Pool, lease: Lease, watch: Watch | None = None) -> None:
        self._pool = pool
        self._lease = lease
        self._watch = watch or Watch(lease.seconds)

    async def run(self, stopping: asyncio.Event) -> None:
        """Go on until told to stop."""
        while not stopping.is_set():
            await self.beat()
            await self.watch()
            await pause(stopping, self._lease.seconds / _BEATS_PER_LEASE)

    async def beat(self) -> None:
        """Prolong the lease, or begin a new one where it has run out or was taken away."""
        try:
            if self._lease.has_run_out() or not await self._prolong():
                await self._begin()
        except Exception as error:
            if not is_outage(error):
                raise
            _log.warning("lease.not_kept", reason=repr(error))

    async def watch(self) -> None:
        """Take over what senders have left whose heart has stood still for a whole lease."""
        try:
            for lease, heartbeat in self._watch.look(await senders.heartbeats(self._pool)):
                await self._take_over(lease, heartbeat)
        except Exception as error:
            if not is_outage(error):
                raise
            self._watch.forget()

    async def leave(self) -> None:
        """Give the lease up in good order."""
        try:
            async with transaction(self._pool) as tx:
                await senders.leave(tx, self._lease.token)
        except Exception as error:
            if not is_outage(error):
                raise
            _log.warning("lease.not_given_up", reason=repr(error))

    async def _take_over(self, lease: UUID, heartbeat: int) -> None:
        async with transaction(self._pool) as tx:
            again, failed = await senders.take_over(tx, lease, heartbeat, TAKEOVERS_AT_MOST)
        AMBIGUOUS.inc(again + failed)
        _log.warning("sender.gone", lease=str(lease), made_again=again, failed=failed)

    async def _prolong(self) -> bool:
        sent_at = self._lease.before_heartbeat()
        async with transaction(self._pool) as tx:
            alive = await senders.beat(tx, self._lease.token)
        if alive:
            self._lease.prolong(sent_at)
        return alive

    async def _begin(self) -> None:
        token = self._lease.begin()
        sent_at = self._lease.before_heartbeat()
        async with transaction(self._pool) as tx:
            await senders.register(tx, token, self._lease.seconds)
        self._lease.prolong(sent_at)
        _log.info("lease.begun", lease=str(token))
