"""Asking, right before a mail is handed over, whether it still may be: many at once."""

import asyncio
from uuid import UUID

from libs.chassis.postgres.pool import Pool
from libs.chassis.telemetry.logs import logger
from services.step_executor.deliveries.lease import Lease
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import DeliveryKey

_log = logger(__name__)


class Confirmations:
    """Answers with the database's word and the lease's. Whoever asks meanwhile shares a query."""

    def __init__(self, pool: Pool, lease: Lease) -> None:
        self._pool = pool
        self._lease = lease
        self._asking: list[tuple[UUID, DeliveryKey, asyncio.Future[bool]]] = []
        self._answering: asyncio.Task[None] | None = None

    async def confirm(self, token: UUID, key: DeliveryKey) -> bool:
        """Say whether a delivery that was claimed under this lease may be handed over now.

        False also where the database does not answer: what is not known to be right is not sent.
        """
        answer = asyncio.get_running_loop().create_future()
        self._asking.append((token, key, answer))
        if self._answering is None or self._answering.done():
            self._answering = asyncio.create_task(self._answer())
        return await answer and self._lease.holds(token)

    async def _answer(self) -> None:
        while self._asking:
            asking, self._asking = self._asking, []
            mine: set[DeliveryKey] = set()
            token = self._lease.token
            try:
                keys = [key for claimed_under, key, _ in asking if claimed_under == token]
                mine = await deliveries.still_mine(self._pool, token, keys)
            except Exception as error:  # noqa: BLE001  (whatever it is, the answer is no)
                _log.warning("delivery.not_confirmed", reason=repr(error))
            finally:
                for claimed_under, key, answer in asking:
                    if not answer.done():
                        answer.set_result(claimed_under == token and key in mine)
