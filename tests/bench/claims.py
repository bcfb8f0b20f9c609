"""What long queues and a long history cost: they should cost nothing.

Claiming 64 deliveries of a million must take as long as of a thousand, also after thousands were
claimed and finished and have left their traces in the table. And letting contacts in and moving
them on must not depend on how many runs have ended before. Both work on PostgreSQL alone, through
the real claims, results and handlers; the two sizes take turns, so that what else the machine does
concerns both alike.

BENCH_PENDING, BENCH_ENDED and BENCH_ROUNDS make it smaller: `BENCH_PENDING=100000
BENCH_ENDED=200000 BENCH_ROUNDS=50` takes less than a minute.
"""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from libs.chassis.postgres.partitions import TimePartitioned, maintain_partitions
from libs.chassis.postgres.pool import open_pool, transaction
from libs.contracts.step_commands import Resume
from libs.local.postgres import Postgres
from services.step_executor.store import partition_lag, senders
from services.step_executor.store.deliveries import Job, Result
from services.step_executor.use_cases.claim_deliveries import ClaimDeliveries
from services.step_executor.use_cases.keep_results import KeepResults
from tests.bench.ground import Ground
from tests.bench.report import Goal
from tests.support.builders import NOW, Json, a_flow
from tests.support.executor import PARTITIONS, Executor, enroll, envelope
from tests.support.queues import fill_ended_memberships, fill_queue
from tests.support.sending import OwnerFake

PENDING = int(os.environ.get("BENCH_PENDING") or 1_000_000)
ENDED = int(os.environ.get("BENCH_ENDED") or 10_000_000)
ROUNDS = int(os.environ.get("BENCH_ROUNDS") or 200)
_FEW_PENDING, _FEW_ENDED = 1000, 10_000
_AT_ONCE, _ENTERING = 64, 20
_RUNS_PER_CONTACT, _MONTHS = 10, 12
_CLAIM_GOAL, _HISTORY_GOAL = Goal(at_most=1.5), Goal(at_most=1.2)
_WARM_UP = 10
_WAIT: list[Json] = [
    {"step_id": "wait", "type": "wait", "duration_amount": 3, "duration_unit": "days"}
]

Timed = Callable[[], Awaitable[float]]
"""Does something once; says how long what is measured of it took, in seconds."""


def bench_claims(ground: Ground) -> None:
    """Claiming from long queues, and walking beside a long history."""
    with ground.folder() as folder, ground.postgres(folder) as postgres:
        asyncio.run(_compare_queues(ground, postgres, 1, 1))
        asyncio.run(_compare_queues(ground, postgres, 50, 2000))
        asyncio.run(_compare_histories(ground, postgres))


async def _compare_queues(ground: Ground, postgres: Postgres, few: int, many: int) -> None:
    """Compare the real claims of a short queue and a long one, each over so many workspaces."""
    async with AsyncExitStack() as stack:
        short = await _queue(await _enter(stack, postgres), _FEW_PENDING, few)
        long = await _queue(await _enter(stack, postgres), PENDING, many)
        await _compare(
            ground, f"claim of {_AT_ONCE}", _CLAIM_GOAL,
            {f"{_FEW_PENDING:,} pending in {few:,}": short.claim_once,
             f"{PENDING:,} pending in {many:,}": long.claim_once},
        )  # fmt: skip


async def _compare_histories(ground: Ground, postgres: Postgres) -> None:
    async with AsyncExitStack() as stack:
        short = await _history(await _enter(stack, postgres), _FEW_ENDED)
        long = await _history(await _enter(stack, postgres), ENDED)
        await _compare(
            ground, f"{_ENTERING} enter and resume", _HISTORY_GOAL,
            {f"{_FEW_ENDED:,} ended": short.walk_once, f"{ENDED:,} ended": long.walk_once},
        )  # fmt: skip


async def _compare(ground: Ground, what: str, goal: Goal, timed: dict[str, Timed]) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(_WARM_UP + ROUNDS):
        for name, once in timed.items():
            seconds[name].append(await once())
    medians = [statistics.median(taken[_WARM_UP:]) for taken in seconds.values()]
    for name, median in zip(seconds, medians, strict=True):
        ground.report.add(f"{what}, {name}", 1000 * median, "ms")
    longer = list(timed)[-1]
    ground.report.add(f"{what}, ratio, {longer}", medians[1] / medians[0], "times", goal)


async def _enter(stack: AsyncExitStack, postgres: Postgres) -> Executor:
    name = f"bench_{uuid4().hex[:8]}"
    postgres.add_database(name)
    return await stack.enter_async_context(_executor(postgres.url(name)))


@asynccontextmanager
async def _executor(url: str) -> AsyncIterator[Executor]:
    async with open_pool(url) as pool:
        yield await Executor.ready(pool)


@dataclass
class Queue:
    """A queue that stays as long as it is: what was claimed is finished, and as much comes new."""

    executor: Executor
    workspaces: int
    planned: int
    lease: UUID
    claims: ClaimDeliveries = field(init=False)
    results: KeepResults = field(init=False)

    def __post_init__(self) -> None:
        pool = self.executor.pool
        owner = OwnerFake(pool, range(PARTITIONS))
        self.claims = ClaimDeliveries(pool)
        self.results = KeepResults(pool, owner.as_reader, self.executor.recording)

    async def claim_once(self) -> float:
        began = time.perf_counter()
        jobs = await self.claims.claim(self.lease, _AT_ONCE)
        taken = time.perf_counter() - began
        await self._finish(jobs)
        return taken

    async def _finish(self, jobs: list[Job]) -> None:
        for job in jobs:
            result = Result(job.claimed.key, job.claimed.partition, "sent")
            self.results.add(job.token, result)
        await self.results.record()
        await fill_queue(
            self.executor.pool, len(jobs), workspaces=self.workspaces, first=self.planned
        )
        self.planned += len(jobs)


async def _queue(executor: Executor, count: int, workspaces: int) -> Queue:
    await fill_queue(executor.pool, count, workspaces=workspaces)
    lease = uuid4()
    async with transaction(executor.pool) as tx:
        await senders.register(tx, lease, 60.0)
        await partition_lag.write(tx, dict.fromkeys(range(PARTITIONS), 0.0))
    return Queue(executor, workspaces, count, lease)


@dataclass
class History:
    """Contacts with ended runs behind them; some of them enter again, and are moved on."""

    executor: Executor
    contacts: list[UUID]
    entered: int = 0

    async def walk_once(self) -> float:
        first = self.entered % (len(self.contacts) - _ENTERING)
        people = self.contacts[first : first + _ENTERING]
        self.entered += _ENTERING
        enrolls = [enroll(one, f"again {self.entered}", min_flow_version=2) for one in people]
        began = time.perf_counter()
        await self.executor.act(*enrolls)
        taken = time.perf_counter() - began
        members = await self.executor.live()
        resumes = [
            Resume(
                **envelope(one["contact_id"]),
                membership_id=one["membership_id"],
                hop=one["hop"],
                due_at=NOW + timedelta(days=3),
            )
            for one in members
        ]
        began = time.perf_counter()
        await self.executor.act(*resumes)
        return taken + time.perf_counter() - began


async def _history(executor: Executor, ended: int) -> History:
    await executor.define(a_flow(_WAIT, version=2))
    months = TimePartitioned("ended_membership", "month", timedelta(days=400))

    async def make_partitions() -> None:
        await maintain_partitions(executor.pool, [months])

    people = await fill_ended_memberships(
        executor.pool, ended, ended // _RUNS_PER_CONTACT, _MONTHS, make_partitions
    )
    return History(executor, people)
