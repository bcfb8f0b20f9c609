"""Prepared mails are kept, up to a number and a size."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.flow_definitions import EmailContent
from services.step_executor.deliveries.email import skeletons
from services.step_executor.deliveries.email.compile_email import compile_email
from services.step_executor.deliveries.email.skeleton import EmailSkeleton
from services.step_executor.deliveries.email.skeletons import EmailSkeletons
from services.step_executor.store.rendered_mail import CannotCompose
from tests.support.mails import a_mail

LARGE = "<p>x</p>" * 10_000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UUID, int]]:
    """Note which mails are read."""
    noted: list[tuple[UUID, int]] = []

    def noting(content: EmailContent) -> EmailSkeleton:
        noted.append((content.email_id, content.version))
        return compile_email(content)

    monkeypatch.setattr(skeletons, "compile_email", noting)
    return noted


def mail(number: int, **changes: Any) -> EmailContent:
    return a_mail(email_id=UUID(int=number), **changes)


async def test_a_version_is_read_once(read: list[tuple[UUID, int]]) -> None:
    kept = EmailSkeletons()
    first = await kept.get(mail(1))
    assert await kept.get(mail(1)) is first
    assert await kept.get(mail(1, version=2)) is not first
    assert read == [(UUID(int=1), 1), (UUID(int=1), 2)]


async def test_a_failure_is_kept_too(read: list[tuple[UUID, int]]) -> None:
    kept = EmailSkeletons()
    for _ in range(3):
        with pytest.raises(CannotCompose, match="no_address"):
            await kept.get(mail(1, from_address="nobody"))
    assert len(read) == 1


async def test_those_used_last_stay(read: list[tuple[UUID, int]]) -> None:
    kept = EmailSkeletons(at_most=2)
    for number in (1, 2, 1, 3, 1, 2):
        await kept.get(mail(number))
    assert [email_id.int for email_id, _ in read] == [1, 2, 3, 2]


async def test_no_more_bytes_are_kept_than_allowed(read: list[tuple[UUID, int]]) -> None:
    kept = EmailSkeletons(at_most_bytes=100_000)
    for _ in range(2):
        for number in range(3):
            await kept.get(mail(number, html="x" * 15_000))
    assert len(read) == 6
    await kept.get(mail(7, html="x" * 49_000))
    await kept.get(mail(7, html="x" * 49_000))
    assert len(read) == 8, "one that is larger than all the room is not kept"


async def test_a_large_mail_is_read_once_for_all_who_wait(read: list[tuple[UUID, int]]) -> None:
    kept = EmailSkeletons()
    first, *others = [asyncio.create_task(kept.get(mail(1, html=LARGE))) for _ in range(4)]
    await asyncio.wait([first, *others], timeout=0)
    first.cancel()
    found = await asyncio.gather(*others)
    assert len(set(map(id, found))) == len(read) == 1
    assert first.cancelled()


async def test_a_large_mail_that_fails_fails_for_all_who_wait() -> None:
    kept = EmailSkeletons()
    waiting = (kept.get(mail(1, html=LARGE, from_address="nobody")) for _ in range(3))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [CannotCompose] * 3


async def test_reading_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeletons, "_READING_SECONDS", 0.0)
    kept = EmailSkeletons()
    for _ in range(2):
        with pytest.raises(CannotCompose, match="takes_too_long_to_read"):
            await kept.get(mail(1, html=LARGE))
