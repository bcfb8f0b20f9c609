"""Senders, their deaths, refusals, pauses and ends of runs in any order: nothing lost, none stuck.

Every mail that was handed over more often than once had a reason: an answer that never came, or a
sender that died between handing over and recording.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from libs.contracts.step_commands import ApplyFlow, Remove
from services.step_executor.store.deliveries import Job, Result
from tests.integration.step_executor.conftest import SenderMaker
from tests.support.builders import FLOW, a_flow
from tests.support.executor import Executor, envelope, of
from tests.support.sending import LEASE_SECONDS, OwnerFake, Sender
from tests.support.smtp_server import DROP, SmtpServerFake

CONTACTS = 30
STEPS = 150


class World:
    """What happens is chosen by chance, from a seed."""

    def __init__(
        self, executor: Executor, a_sender: SenderMaker, mails: SmtpServerFake, seed: int
    ) -> None:
        self.executor, self.mails = executor, mails
        self.chance = random.Random(seed)  # noqa: S311  (no secret)
        self.make = a_sender
        self.senders = [self.new_sender(), self.new_sender()]
        self.jobs: dict[Sender, list[Job]] = {}
        self.unrecorded: Counter[Sender] = Counter()
        self.version = 1
        self.windows = 0

    def new_sender(self) -> Sender:
        owner = OwnerFake(self.executor.pool, [0]) if self.chance.random() < 0.5 else None
        return self.make(owner, delivery_ambiguous_attempts=50, delivery_attempts=50)

    @property
    def sender(self) -> Sender:
        return self.chance.choice(self.senders)

    async def claim(self) -> None:
        sender = self.sender
        self.jobs.setdefault(sender, []).extend(await sender.claim(self.chance.randint(1, 6)))

    async def attempt(self) -> None:
        sender = self.sender
        if jobs := self.jobs.get(sender):
            job = jobs.pop(self.chance.randrange(len(jobs)))
            before = len(self.mails.messages)
            outcome = await sender.attempt(job)
            sent = isinstance(outcome, Result) and outcome.outcome == "sent"
            self.unrecorded[sender] += sent
            self.windows += len(self.mails.messages) - before - sent

    async def record(self) -> None:
        sender = self.sender
        await sender.results.record()
        self.unrecorded[sender] = 0

    async def die(self) -> None:
        sender = self.sender
        self.senders.remove(sender)
        self.jobs.pop(sender, None)
        self.windows += self.unrecorded.pop(sender, 0)
        self.senders.append(self.new_sender())

    async def sleep(self) -> None:
        """A sender is stopped for long; it will go on when others have taken over."""
        self.sender.clock.pass_by(60)

    async def look(self) -> None:
        """Only one watches: whoever does not beat meanwhile is taken over, dead or asleep."""
        watching = self.sender
        for _ in range(6):
            for one in self.senders:
                if one is not watching and self.chance.random() < 0.9:
                    await one.keeping.beat()
            await watching.keeping.watch()
            watching.clock.pass_by(LEASE_SECONDS / 4)
            for one in self.senders:
                if one is not watching:
                    one.clock.pass_by(LEASE_SECONDS / 4)
            await watching.keeping.beat()

    async def trouble(self) -> None:
        command, answer = self.chance.choice(
            [("RCPT", "451 later"), ("RCPT", "550 no"), ("MAIL", DROP), ("MESSAGE", DROP)]
        )
        self.mails.answer(command, answer)

    async def retry(self) -> None:
        await self.executor.time_for_retries()

    async def remove(self) -> None:
        if live := await self.executor.live():
            contact = self.chance.choice(live)["contact_id"]
            command = Remove(**envelope(contact), flow_id=FLOW, min_flow_version=1)
            await self.executor.act(command)

    async def change(self) -> None:
        await self.set_status(self.chance.choice(["paused", "active"]))

    async def set_status(self, status: str) -> None:
        self.version += 1
        told = await self.executor.define(a_flow(version=self.version, status=status))
        todo = [one for one in of(ApplyFlow, told) if one.partition == 0]
        while todo:
            todo = of(ApplyFlow, await self.executor.act(*todo, page=7))

    async def take(self) -> None:
        owner = OwnerFake(self.executor.pool, [0])
        await owner.run_as_owner(self.executor.recording.of_others)

    async def run(self) -> None:
        steps: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.claim, 8), (self.attempt, 20), (self.record, 8), (self.die, 1), (self.sleep, 1),
            (self.look, 2), (self.trouble, 3), (self.retry, 3), (self.remove, 1), (self.change, 1),
            (self.take, 3),
        ]  # fmt: skip
        actions, weights = zip(*steps, strict=True)
        for action in self.chance.choices(actions, weights, k=STEPS):
            await action()

    async def put_right(self) -> None:
        """Everything works again; whoever is at something ends it."""
        self.mails.script.clear()
        await self.set_status("active")
        for sender in self.senders:
            for job in self.jobs.get(sender, []):
                before = len(self.mails.messages)
                outcome = await sender.attempt(job)
                sent = isinstance(outcome, Result) and outcome.outcome == "sent"
                self.windows += len(self.mails.messages) - before - sent
            await sender.results.record()
        last = self.new_sender()
        await last.look_for(2 * LEASE_SECONDS)
        for _ in range(10):
            await self.retry()
            for job in await last.claim(200):
                if job.circumstances.wanted:
                    await last.attempt(job)
                else:
                    last.results.add(job.token, Result(job.claimed.key, 0, "skipped", "x"))
            await last.results.record()
            await self.take()


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_nothing_is_lost_repeated_or_stuck(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake, seed: int
) -> None:
    keys = await executor.crowd(CONTACTS)
    world = World(executor, a_sender, mail_server, seed)
    await world.run()
    await world.put_right()
    assert await executor.deliveries() == []
    assert {row["waiting_on"] for row in await executor.live()} <= {"timer"}
    ended = Counter(row["membership_id"] for row in await executor.ended_deliveries())
    assert set(ended.values()) <= {1}
    moved = {row["membership_id"] for row in await executor.live()}
    assert moved <= set(ended), "who has gone on has had a result"
    assert len(ended) <= len(keys)
    handed_over = Counter(_message_id(one) for one in mail_server.messages)
    assert sum(handed_over.values()) - len(handed_over) <= world.windows
    sent = sum(row["outcome"] == "sent" for row in await executor.ended_deliveries())
    assert sent <= len(handed_over)


def _message_id(message: bytes) -> bytes:
    return next(line for line in message.split(b"\r\n") if line.startswith(b"Message-ID:"))
