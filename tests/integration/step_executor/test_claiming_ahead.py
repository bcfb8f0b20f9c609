"""Mails that are claimed ahead of their turn: in large batches, and never for long."""

import asyncio
from uuid import UUID

import pytest

from services.step_executor.store.deliveries import GivenBack, Result
from tests.integration.step_executor.conftest import SenderMaker
from tests.support.executor import Executor
from tests.support.sending import running
from tests.support.smtp_server import HANG, SmtpServerFake
from tests.support.waiting import eventually


async def test_a_sender_that_stops_gives_back_what_it_has_not_begun(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.crowd(12)
    mail_server.against["@example.com>"] = HANG

    async def claimed(count: int) -> bool:
        return (await executor.statuses()).count("claimed") == count

    async def hang_up_when_only_three_are_left() -> None:
        await eventually(lambda: claimed(3), "the others to be given back")
        mail_server.hang_up()

    async with running(a_sender(deliveries_at_once=3, deliveries_claimed_ahead=5)):
        await eventually(lambda: claimed(8), "three under way and five ahead")
        await eventually(lambda: mail_server.count("MAIL") == 3, "three to be under way")
        giving_back = asyncio.create_task(hang_up_when_only_three_are_left())
    await giving_back
    attempts = sorted(row["attempt"] for row in await executor.deliveries())
    assert attempts == [0] * 9 + [1] * 3, "who waits for a place was not attempted"


async def test_what_has_waited_long_for_a_place_is_given_back_and_judged_anew(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await executor.crowd(6)
    mail_server.answer("CONNECT", HANG, HANG)
    sender = a_sender(deliveries_at_once=2, deliveries_claimed_ahead=4)
    outcomes: list[Result | GivenBack] = []
    add = sender.results.add

    def noting(token: UUID, outcome: Result | GivenBack) -> None:
        outcomes.append(outcome)
        add(token, outcome)

    monkeypatch.setattr(sender.results, "add", noting)
    async with running(sender):
        await eventually(lambda: mail_server.connections == 2, "two to be under way")
        sender.target_clock.pass_by(6)
        mail_server.hang_up()
        await eventually(lambda: sum(isinstance(one, GivenBack) for one in outcomes) == 6, "all")
        sender.target_clock.pass_by(31)
        await eventually(lambda: len(mail_server.messages) == 6, "all mails")
    assert [one.wait_seconds for one in outcomes if isinstance(one, GivenBack)][2:] == [0.0] * 4
