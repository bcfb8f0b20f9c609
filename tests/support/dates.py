"""A scheduler process on a database, as far as dates go, and what it is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.flow_definitions import FlowDefined
from libs.contracts.step_commands import Enroll
from libs.contracts.timer_commands import ForgetContact, RememberDates
from libs.domain.flow import Flow
from services.scheduler.handlers import flow_definitions, timer_commands
from services.scheduler.loops.database_clock import DatabaseClock
from services.scheduler.loops.release_dates import ReleaseDates
from services.scheduler.store.date_triggers import CurrentSchedule
from services.scheduler.store.days import OpenDays
from services.scheduler.use_cases.next_due import NextDue
from tests.support.builders import CONTACT, FLOW, WORKSPACE, Json, a_flow
from tests.support.timers import PretendReader


@dataclass
class HandClock:
    """A clock that is set by hand: the database's, and this machine's."""

    at: datetime

    async def now(self) -> datetime:
        return self.at


class StillClock(Clock):
    """A clock that shows what another one was set to."""

    def __init__(self, hand: HandClock) -> None:
        super().__init__()
        object.__setattr__(self, "hand", hand)

    def now(self) -> datetime:
        return cast("HandClock", self.hand).at  # type: ignore[attr-defined]


class DateScheduler:
    """One process: it owns some partitions, and its clock is set by hand."""

    def __init__(
        self,
        pool: Pool,
        now: datetime,
        partitions: Sequence[int] = (0,),
        epoch: int = 1,
        dates_per_tick: int = 1000,
    ) -> None:
        self.pool, self.hand = pool, HandClock(now)
        self.clock, self.current = StillClock(self.hand), CurrentSchedule()
        owned = {one: OwnedPartition(one, 0, epoch) for one in partitions}
        self.reader = PretendReader(pool, owned)
        self.days, self.next_due = OpenDays(self.clock), NextDue()
        self.releasing = ReleaseDates(
            cast("Reader[Any]", self.reader),
            (cast("DatabaseClock", self.hand), self.clock),
            pool,
            self.current,
            dates_per_tick,
        )

    async def define(self, *flows: Flow, at: datetime) -> None:
        """Take definitions in that were made at a moment."""
        batch = [
            Received(FlowDefined(id=uuid4(), time=at, workspace_id=flow.workspace_id, flow=flow), 0)
            for flow in flows
        ]
        async with transaction(self.pool) as tx:
            await flow_definitions.handle_batch(tx, cast("Any", batch))

    async def learn(self) -> None:
        """Look at the triggers, as the tick does once a second."""
        await self.current.refresh(self.pool)

    async def tell(self, *told: Received[Any]) -> list[Enroll]:
        """Take in what the executor tells, as one batch; give who is enrolled at once."""
        async with transaction(self.pool) as tx:
            outgoing = await timer_commands.handle_batch(
                tx,
                told,
                days=self.days,
                next_due=self.next_due,
                schedule=self.current,
                clock=self.clock,
            )
        return enrolls(outgoing)

    async def tick(self, at: datetime | None = None) -> list[Enroll]:
        """Tick once, at a moment; give who is enrolled."""
        self.hand.at = at or self.hand.at
        await self.learn()
        before = len(self.reader.fired)
        await self.releasing.tick()
        return enrolls(self.reader.fired[before:])

    async def drain(self, at: datetime | None = None) -> list[Enroll]:
        """Tick until nothing is left of what has fallen due."""
        enrolled = await self.tick(at)
        while await self.pool.fetchval("SELECT count(*) FROM date_slice"):
            enrolled += await self.tick()
        return enrolled


def enrolls(outgoing: Iterable[Outgoing]) -> list[Enroll]:
    messages = [one.message for one in outgoing]
    assert all(isinstance(one, Enroll) for one in messages)
    return [cast("Enroll", one) for one in messages]


def contacts_of(commands: Iterable[Enroll]) -> list[int]:
    return [one.contact_id.int for one in commands]


def date_flow(
    version: int = 1, status: str = "active", flow_id: UUID = FLOW, **settings: Any
) -> Flow:
    """A flow that starts on the date in `renewal`, or another one."""
    trigger: Json = {"type": "date_based", "trigger_id": "t1", "field": "renewal", **settings}
    steps = [{"step_id": "out", "type": "drop_from_flow"}]
    return a_flow(steps, version=version, status=status, flow_id=flow_id, triggers=[trigger])


def dates(
    contact: UUID | int = CONTACT,
    *,
    set_at: datetime,
    before: dict[str, str] | None = None,
    partition: int = 0,
    workspace: UUID = WORKSPACE,
    **now: str,
) -> Received[RememberDates]:
    """Tell that a contact has these dates now."""
    message = RememberDates(
        id=uuid4(),
        time=set_at,
        workspace_id=workspace,
        contact_id=contact if isinstance(contact, UUID) else UUID(int=contact),
        before=before or {},
        dates=now,
        set_at=set_at,
    )
    return Received(message, partition)


def gone(contact: int, **before: str) -> Received[ForgetContact]:
    """Tell that a contact is gone."""
    message = ForgetContact(
        id=uuid4(),
        time=datetime(2026, 1, 1, tzinfo=UTC),
        workspace_id=WORKSPACE,
        contact_id=UUID(int=contact),
        before=before,
    )
    return Received(message, 0)
