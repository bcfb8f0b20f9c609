"""The prepared mails that a process keeps at hand."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from libs.contracts.flow_definitions import EmailContent
from services.step_executor.deliveries.email.compile_email import compile_email, size_of
from services.step_executor.deliveries.email.skeleton import EmailSkeleton
from services.step_executor.store.rendered_mail import CannotCompose

_LARGE_CHARACTERS = 20_000
"""To read so many takes some milliseconds, in which nothing else would go on."""
_READING_SECONDS = 30.0
_ENTRY_BYTES = 1_000

_Key = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class _Failure:
    """A mail that can be written to nobody: that is kept too, so that it is found out once."""

    reason: str
    size: int = 0


class EmailSkeletons:
    """Mails by id and version, the ones used last, up to a number and a size.

    A large one is read in a thread, one at a time, because reading takes the processor.
    """

    def __init__(self, at_most: int = 2_000, at_most_bytes: int = 128_000_000) -> None:
        self._at_most = at_most
        self._at_most_bytes = at_most_bytes
        self._kept: dict[_Key, EmailSkeleton | _Failure] = {}
        self._bytes = 0
        self._reading: dict[_Key, asyncio.Task[EmailSkeleton | _Failure]] = {}
        self._one_large = asyncio.Semaphore()

    def find(self, email_id: UUID, version: int) -> EmailSkeleton | None:
        """Give a mail that is at hand in this version; None if it must be read first.

        Raises:
            CannotCompose: If it is known that it cannot be written to anybody.
        """
        found = self._kept.get((email_id, version))
        if isinstance(found, _Failure):
            raise CannotCompose(found.reason)
        return found

    async def get(self, content: EmailContent) -> EmailSkeleton:
        """Give a mail prepared.

        Raises:
            CannotCompose: If it cannot be written to anybody.
        """
        key = (content.email_id, content.version)
        found = self._kept.pop(key, None)
        if found is not None:
            self._kept[key] = found  # the last in the order is the one used last
        else:
            found = await self._read(key, content)
        if isinstance(found, _Failure):
            raise CannotCompose(found.reason)
        return found

    async def _read(self, key: _Key, content: EmailContent) -> EmailSkeleton | _Failure:
        if size_of(content) < _LARGE_CHARACTERS:
            found = _compiled(content)
            self._keep(key, found)
            return found
        reading = self._reading.get(key)
        if reading is None:
            reading = asyncio.create_task(self._read_aside(key, content))
            self._reading[key] = reading
        return await asyncio.shield(reading)  # others may wait for the same

    async def _read_aside(self, key: _Key, content: EmailContent) -> EmailSkeleton | _Failure:
        try:
            async with self._one_large:
                found = await asyncio.wait_for(
                    asyncio.to_thread(_compiled, content), _READING_SECONDS
                )
        except TimeoutError:
            found = _Failure("takes_too_long_to_read")
        finally:
            del self._reading[key]
        self._keep(key, found)
        return found

    def _keep(self, key: _Key, found: EmailSkeleton | _Failure) -> None:
        self._kept[key] = found
        self._bytes += found.size + _ENTRY_BYTES
        while len(self._kept) > self._at_most or self._bytes > self._at_most_bytes:
            oldest = next(iter(self._kept))
            self._bytes -= self._kept.pop(oldest).size + _ENTRY_BYTES


def _compiled(content: EmailContent) -> EmailSkeleton | _Failure:
    try:
        return compile_email(content)
    except CannotCompose as error:
        return _Failure(str(error))
