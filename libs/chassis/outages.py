"""Telling what passes by itself, and is waited for, from a fault of a message, which is not."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import asyncpg
from aiokafka.errors import KafkaError

from libs.chassis.telemetry.logs import logger

_log = logger(__name__)

_OUTAGES = (
    OSError,
    TimeoutError,
    KafkaError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.InternalServerError,
)
_FAULTS = ("22", "23", "P0001")
"""SQLSTATEs a record itself brings about: its data, a broken constraint, a RAISE of our own."""


class NotYet(Exception):  # noqa: N818  (it says what is the case, and passes by itself)
    """Something this work needs has not arrived here yet; the same work will succeed later."""


class NotPublished(Exception):  # noqa: N818  (a fact; the outbox still has what was to be sent)
    """What was committed could not be published. Arming sends it again, in order."""


def is_fault(error: BaseException) -> bool:
    """True if the work itself is at fault: doing the same again would fail again."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_FAULTS)
    return not isinstance(error, (*_OUTAGES, NotYet, NotPublished))


def is_outage(error: BaseException) -> bool:
    """True if the same work may well succeed later.

    That is so in an outage, and under any condition that passes: something that has not arrived, a
    schema that is being migrated, a cached plan gone stale.
    """
    return not is_fault(error)


def concerns_all(error: BaseException) -> bool:
    """True if what is wrong has nothing to do with what the work is about: a server is down."""
    return isinstance(error, (*_OUTAGES, NotPublished))


@contextmanager
def retry_later(event: str) -> Iterator[None]:
    """Leave a block at an outage, saying so; the caller does the same work again later.

    Args:
        event: What is logged, as `tick.retried`.

    Raises:
        Exception: What is no outage.
    """
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        _log.warning(event, reason=repr(error))


class Backoff:
    """Waits longer after every failure in a row, from 0.1 to 5 seconds, with jitter."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def reset(self) -> None:
        """Begin anew: something has succeeded."""
        self._next = self._first

    def next(self) -> float:
        """Say how long to wait now, in seconds, and make the next wait longer."""
        length, self._next = self._next, min(self._next * 2, self._longest)
        return length * random.uniform(0.7, 1.3)  # noqa: S311  (jitter, no secret)

    async def wait(self) -> None:
        """Wait, and make the next wait longer."""
        await asyncio.sleep(self.next())

    async def attempt(self, event: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work that is done again and again; after an outage wait before the next time.

        Args:
            event: What is logged at an outage, as `tick.retried`.
            work: The work.

        Raises:
            Exception: What is no outage.
        """
        succeeded = False
        with retry_later(event):
            await work()
            succeeded = True
        if succeeded:
            self.reset()
        else:
            await self.wait()
