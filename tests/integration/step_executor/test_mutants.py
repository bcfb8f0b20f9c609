"""Each safeguard of the way of a delivery, taken away: a test of the suite must fail.

What is taken away is put back after; what fails is the very scenario that another file plays with
everything in place.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosql
import pytest

from services.step_executor.deliveries.confirmations import Confirmations
from services.step_executor.deliveries.lease import Watch
from services.step_executor.loops.send_deliveries import SendDeliveries
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import GivenBack, Job, Result
from tests.integration.step_executor.conftest import SenderMaker
from tests.integration.step_executor.test_leases import (
    lease_taken_away_claims_nothing,
    live_sender_is_left_alone,
    stale_refusal_counts_no_more,
    stopped_sender_sends_no_more,
)
from tests.support.executor import Executor
from tests.support.sending import LEASE_SECONDS, OwnerFake, Sender, running
from tests.support.smtp_server import SmtpServerFake
from tests.support.waiting import eventually

STATEMENTS = Path(deliveries.__file__).with_suffix(".sql")
Patch = pytest.MonkeyPatch


def change_statements(patch: Patch, before: str, after: str) -> None:
    """Let the store of deliveries speak otherwise."""
    text = STATEMENTS.read_text()
    assert before in text, "the statement has changed, and its mutant with it"
    changed = aiosql.from_str(text.replace(before, after), "asyncpg", mandatory_parameters=False)
    patch.setattr(deliveries, "queries", changed)


def claim_ignores_the_lease(patch: Patch) -> None:
    change_statements(
        patch,
        "SELECT lease FROM sender WHERE lease = :lease FOR KEY SHARE",
        "SELECT :lease::uuid AS lease",
    )


def confirmation_always_says_yes(patch: Patch) -> None:
    async def yes(*_: object) -> bool:
        return True

    patch.setattr(Confirmations, "confirm", yes)


def confirmation_asks_the_lease_alone(patch: Patch) -> None:
    async def of_the_lease(self: Any, token: Any, _: object) -> bool:
        return bool(self._lease.holds(token))

    patch.setattr(Confirmations, "confirm", of_the_lease)


def taken_over_at_once(patch: Patch) -> None:
    def look(_: object, heartbeats: dict[Any, Any]) -> list[Any]:
        return [(lease, one.beats) for lease, one in heartbeats.items()]

    patch.setattr(Watch, "look", look)


def settled_without_the_claim(patch: Patch) -> None:
    change_statements(
        patch, "delivery.status = 'claimed' AND delivery.claim = :lease", ":lease::uuid IS NOT NULL"
    )


def only_the_holder_says_sent(patch: Patch) -> None:
    change_statements(patch, "ended.outcome = 'sent' AND delivery.outcome", "delivery.outcome")
    change_statements(patch, "OR (ended.outcome = 'sent'", "OR (false")


def recorded_before_it_is_handed_over(patch: Patch) -> None:
    attempt = SendDeliveries._attempt  # noqa: SLF001

    async def too_early(self: Any, job: Job) -> Result | GivenBack:
        early = Result(job.claimed.key, job.claimed.partition, "sent")
        self._results.add(job.token, early)
        await self._results.record()
        return await attempt(self, job)

    patch.setattr(SendDeliveries, "_attempt", too_early)


async def refused(
    executor: Executor, pair: tuple[Sender, Sender], mails: SmtpServerFake, _: Patch
) -> None:
    """What is recorded as sent has been handed over; this mail is refused."""
    await executor.mailing()
    mails.answer("RCPT", "550 5.1.1 nobody here")
    async with running(pair[0]):
        await eventually(lambda: mails.count("RCPT") == 1, "the mail")
    rows = [*await executor.deliveries(), *await executor.ended_deliveries()]
    assert [row["outcome"] for row in rows] == ["failed"]


async def late_sent(
    executor: Executor, pair: tuple[Sender, Sender], mails: SmtpServerFake, _: Patch
) -> None:
    """P's mail was taken; before P could record it, Q took over; Q sends no more."""
    await executor.mailing()
    first, second = pair
    (job,) = await first.claim()
    await first.attempt(job)
    await second.look_for(LEASE_SECONDS)
    await first.results.record()
    for again in await second.claim():
        await second.attempt(again)
    assert len(mails.messages) == 1


async def _stopped(
    executor: Executor, pair: tuple[Sender, Sender], mails: SmtpServerFake, patch: Patch
) -> None:
    await stopped_sender_sends_no_more(executor, pair, mails, patch)


async def _row_read_again(
    executor: Executor, pair: tuple[Sender, Sender], mails: SmtpServerFake, _: Patch
) -> None:
    """Its lease still holds by its own clock, but the row is another's."""
    await executor.mailing()
    first, second = pair
    (job,) = await first.claim()
    await second.look_for(LEASE_SECONDS)
    await first.attempt(job)
    assert mails.messages == []


async def _living(
    executor: Executor, pair: tuple[Sender, Sender], _: SmtpServerFake, __: Patch
) -> None:
    await live_sender_is_left_alone(executor, *pair)


async def _taken_away(
    executor: Executor, pair: tuple[Sender, Sender], _: SmtpServerFake, __: Patch
) -> None:
    await lease_taken_away_claims_nothing(executor, *pair)


async def _stale(
    executor: Executor, pair: tuple[Sender, Sender], _: SmtpServerFake, __: Patch
) -> None:
    await stale_refusal_counts_no_more(executor, *pair)


Scenario = Callable[..., Any]
MUTANTS: list[tuple[Callable[[Patch], None], Scenario]] = [
    (claim_ignores_the_lease, _taken_away),
    (confirmation_always_says_yes, _stopped),
    (confirmation_asks_the_lease_alone, _row_read_again),
    (taken_over_at_once, _living),
    (settled_without_the_claim, _stale),
    (only_the_holder_says_sent, late_sent),
    (recorded_before_it_is_handed_over, refused),
]


@pytest.fixture(params=[True, False], ids=["as owner", "for the owner"])
def pair(
    request: pytest.FixtureRequest, executor: Executor, a_sender: SenderMaker
) -> tuple[Sender, Sender]:
    owner = OwnerFake(executor.pool, [0]) if request.param else None
    return a_sender(owner), a_sender()


@pytest.mark.parametrize(("mutant", "scenario"), MUTANTS, ids=lambda one: one.__name__)
async def test_a_safeguard_taken_away_is_noticed(
    executor: Executor, pair: tuple[Sender, Sender], mail_server: SmtpServerFake,
    monkeypatch: Patch, mutant: Callable[[Patch], None], scenario: Scenario,
) -> None:  # fmt: skip
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        await scenario(executor, pair, mail_server, monkeypatch)


@pytest.mark.parametrize("scenario", [one for _, one in MUTANTS], ids=lambda one: one.__name__)
async def test_with_everything_in_place_it_holds(
    executor: Executor, pair: tuple[Sender, Sender], mail_server: SmtpServerFake,
    monkeypatch: Patch, scenario: Scenario,
) -> None:  # fmt: skip
    await scenario(executor, pair, mail_server, monkeypatch)
