"""What contacts did, through the executor's handlers: counted once, read where it is asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.contact_events import ContactDeleted
from libs.contracts.step_commands import Observe
from libs.contracts.timer_commands import SetTimer
from libs.domain.activity import ActivityKind, ActivityNeed
from services.step_executor.loops.watch_waits import WatchWaits
from services.step_executor.settings import Settings
from services.step_executor.store import activity, memberships
from services.step_executor.store.activity import Done
from services.step_executor.use_cases.activity_log import needed_of
from services.step_executor.use_cases.needed_memberships import needed_by
from services.step_executor.wiring import partitioned
from tests.integration.step_executor.test_step_commands import finish
from tests.support.activity import did, mailed, ordered, recorded, submitted
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME_STEPS, WORKSPACE, Json, a_flow
from tests.support.executor import Executor, cloud, created, enroll, observed, of, timeline_of
from tests.support.waits import a_guard, a_waiting_flow, fires, waiting

DAY = timedelta(days=1)
WEEK: Json = {"amount": 7, "unit": "days"}
TWICE: Json = {"operator": "greater_than_or_equal", "value": 2}
PAUSE: Json = {"step_id": "pause", "type": "wait", "duration_amount": 1, "duration_unit": "days"}
HERE = (WORKSPACE, CONTACT)
ORDERS = ActivityKind("Placed Order")
OTHER = UUID(int=77)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


async def stands(executor: Executor) -> tuple[str, str]:
    (row,) = await executor.live()
    return row["step_id"], row["waiting_on"]


async def count(executor: Executor, table: str = "activity") -> int:
    found: int = await executor.pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608  (a test's own)
    return found


def checking(condition: Json) -> list[Json]:
    """Look once, and stand for a day or a week by what is seen."""
    return [
        {"step_id": "check", "type": "condition_check", "condition": condition,
         "edges": {"true": "yes", "false": "no", "default": "unknown"}},
        *({**PAUSE, "step_id": step_id} for step_id in ("yes", "no", "unknown")),
    ]  # fmt: skip


async def enters(executor: Executor, condition: Json, *before: Observe) -> str:
    """Let these events come, and then the contact in; say where it stands."""
    await executor.define(a_flow(checking(condition), version=2))
    await executor.act(created())
    for event in before:
        await executor.act(event)
    await executor.act(enroll())
    return (await stands(executor))[0]


PAGE = UUID(int=50)
ONE_MAIL = {"email_id": str(UUID(int=51))}
HAPPENED = [
    recorded(at=NOW - DAY), recorded(at=NOW - 2 * DAY), recorded("Started Chat"),
    mailed("opened"), mailed("clicked", email_id=UUID(int=51)),
    submitted("f1", tent_id=PAGE), submitted("f2"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "step_id"),
    [
        (ordered(), "yes"),
        (ordered("has_no_activity"), "no"),
        (ordered(count=TWICE), "yes"),
        (ordered(count=TWICE, within={"amount": 36, "unit": "hours"}), "no"),
        (did("Cancelled Order"), "no"),
        (did("email.opened", within=WEEK), "yes"),
        (did("email.opened", **ONE_MAIL), "no"),
        (did("email.clicked", **ONE_MAIL), "yes"),
        (did("email.bounced"), "no"),
        (did("form.submitted", count=TWICE), "yes"),
        (did("form.submitted", form_id="f1", tent_id=str(PAGE)), "yes"),
        (did("form.submitted", form_id="f2", tent_id=str(PAGE)), "no"),
    ],
)
async def test_a_rule_counts_what_the_contact_did(
    executor: Executor, condition: Json, step_id: str
) -> None:
    assert await enters(executor, condition, *HAPPENED) == step_id


async def test_what_comes_in_the_same_batch_counts_from_then_on(executor: Executor) -> None:
    await executor.define(a_flow(checking(ordered()), version=2))
    await executor.act(created(), enroll(), recorded())
    assert (await stands(executor))[0] == "no"
    await executor.act(created(OTHER), recorded(contact=OTHER), enroll(OTHER))
    assert {row["step_id"] for row in await executor.live()} == {"no", "yes"}


async def test_an_activity_ends_a_wait_for_it(executor: Executor) -> None:
    await executor.define(a_waiting_flow(ordered(count=TWICE, within=WEEK)))
    await executor.act(created(), enroll())
    await executor.act(recorded(at=NOW - 8 * DAY))
    await executor.act(recorded(at=NOW - 2 * DAY), recorded("Started Chat"))
    assert await stands(executor) == ("until", "event")
    said = await executor.act(recorded())
    assert await stands(executor) == ("met", "timer")
    (judged,) = (one.details["judged"] for one in timeline_of(said) if "judged" in one.details)
    assert judged[0]["saw"] == 2


async def test_a_wait_ends_when_enough_has_fallen_out_of_the_window(executor: Executor) -> None:
    """Seven days without an order: its timer is the instant of that, and moves with each one."""
    await executor.define(a_waiting_flow(ordered("has_no_activity", within=WEEK)))
    await executor.act(created(), recorded(at=NOW - DAY))
    (timer,) = of(SetTimer, await executor.act(enroll()))
    assert timer.due_at == NOW + 6 * DAY
    executor.clock.now_is = NOW + 2 * DAY
    (later,) = of(SetTimer, await executor.act(recorded(at=NOW + 2 * DAY)))
    assert later.due_at == NOW + 9 * DAY
    await executor.act(fires(timer))
    assert await stands(executor) == ("until", "event")
    executor.clock.now_is = later.due_at
    await executor.act(fires(later))
    assert await stands(executor) == ("met", "timer")


async def test_a_guard_drops_who_did_it(executor: Executor) -> None:
    await executor.define(a_flow([PAUSE], version=2, guards=[a_guard(ordered())]))
    await executor.act(created(), enroll())
    await executor.act(recorded())
    assert [row["drop_reason"] for row in await executor.ended()] == ["disqualified"]
    refused = await executor.act(enroll(source="e2"))
    assert [one.reason for one in refused] == ["contact_disqualified"]


async def test_the_activity_of_another_workspace_is_not_ours(executor: Executor) -> None:
    other = {"workspaceid": OTHER}
    elsewhere = observed(recorded().event.model_copy(update=other))
    await executor.act(created(CONTACT, OTHER), elsewhere)
    assert await enters(executor, ordered()) == "no"
    assert await count(executor) == 1


async def test_what_an_unknown_or_deleted_contact_did_is_not_kept(executor: Executor) -> None:
    await executor.act(recorded())
    gone = observed(ContactDeleted.model_validate({**cloud(), "time": NOW + DAY}))
    await executor.act(created(), recorded(), recorded())
    assert await count(executor) == 2
    await executor.act(recorded(), gone, recorded(at=NOW + 2 * DAY))
    assert await count(executor) == 0
    again = created()
    again = observed(again.event.model_copy(update={"time": NOW + 3 * DAY}))
    await executor.act(again)
    assert await enters(executor, ordered()) == "no"


async def test_r11_a_replayed_event_counts_once(executor: Executor) -> None:
    """In a batch of its own, twice in one batch, and where nobody asks."""
    order = recorded()
    await executor.act(created(), order, order)
    await executor.act(order)
    assert await count(executor) == 1
    assert await enters(executor, ordered(count=TWICE), order) == "no"
    assert await count(executor) == 1


async def test_r11_a_replayed_event_wakes_nobody(executor: Executor) -> None:
    """The wait would end at a second order; the first one comes again."""
    first = recorded(at=NOW - DAY)
    await executor.act(created(), first)
    await executor.define(a_waiting_flow(ordered(count=TWICE)))
    await executor.act(enroll())
    before = await executor.live()
    assert await executor.act(first) == []
    assert await executor.live() == before
    await executor.act(recorded(), first)
    assert await stands(executor) == ("met", "timer")


async def test_r15_an_event_behind_the_resume_in_one_batch_is_counted(executor: Executor) -> None:
    """Where the walk comes to rest the rule is not yet asked; where the next one comes it is."""
    await executor.define(
        a_flow([{**PAUSE, "edges": {"next": "until"}}, *waiting(did("Started Chat")),
                *checking(ordered(count=TWICE))], version=2)
    )  # fmt: skip
    (timer,) = of(SetTimer, await executor.act(created(), recorded(at=NOW - DAY), enroll()))
    await executor.act(fires(timer), recorded(), recorded("Started Chat"))
    assert await stands(executor) == ("met", "timer")


async def test_r15_a_batch_that_asks_further_than_it_read_is_done_once_more(
    executor: Executor,
) -> None:
    """Two walks in one batch: what the second one asks lies behind the rest of the first."""
    again = {**PAUSE, "step_id": "again", "edges": {"next": "check"}}
    steps = [{**PAUSE, "edges": {"next": "again"}}, again, *checking(ordered())]
    await executor.define(a_flow(steps, version=2))
    (first,) = of(SetTimer, await executor.act(created(), recorded(at=NOW - DAY), enroll()))
    executor.clock.now_is = NOW + 10 * DAY
    second = fires(first).model_copy(update={"hop": 2, "due_at": NOW + 20 * DAY})
    said = await executor.act(fires(first), second)
    assert (await stands(executor))[0] == "yes"
    assert len([one for one in timeline_of(said) if one.kind == "step_executed"]) == 3


async def test_r15_a_start_that_asks_further_than_was_read_is_done_once_more(
    executor: Executor,
) -> None:
    """A mail that is gone stops nobody, so the walk comes further than where it would rest."""
    first = {"step_id": "first", "type": "condition_check", "edges": {"default": "mail"}}
    gone = {"step_id": "mail", "type": "send_email", "edges": {"next": "check"}}
    flow = a_flow([first, gone, *checking(ordered())], version=2)
    await executor.define(flow)
    await executor.act(created(), recorded(at=NOW - DAY))
    said = await executor.act(observed(submitted("f1").event, flow))
    assert (await stands(executor))[0] == "yes"
    assert [one.kind for one in timeline_of(said)].count("entered_flow") == 1


async def test_a_delivery_that_ends_goes_on_to_what_was_done_meanwhile(executor: Executor) -> None:
    send = {**WELCOME_STEPS[0], "edges": {"next": "check"}}
    await executor.define(a_flow([send, *checking(ordered())], version=2))
    key = await executor.mailing()
    await executor.act(recorded())
    await finish(executor, key)
    assert (await stands(executor))[0] == "yes"


@asynccontextmanager
async def statements(executor: Executor) -> AsyncIterator[list[str]]:
    """Note every statement that batches send meanwhile."""
    sent: list[str] = []

    def note(record: Any) -> None:
        sent.append(record.query)

    async with executor.pool.acquire() as connection:
        pool, executor.pool = executor.pool, cast("Pool", OnePool(connection))
        with connection.query_logger(note):
            yield sent
        executor.pool = pool


class OnePool:
    """A pool of one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        yield self._connection


async def test_only_what_is_asked_for_costs_a_statement(executor: Executor) -> None:
    """A batch without activity writes none, one that nobody asks about reads none."""
    await executor.act(created())
    events = [recorded() for _ in range(20)]
    async with statements(executor) as sent:
        await executor.act(created(OTHER, city="Rome"), enroll(OTHER))
    assert not [one for one in sent if "activity" in one]
    async with statements(executor) as sent:
        await executor.act(*events)
    (written,) = [one for one in sent if "activity" in one]
    assert "INSERT INTO activity" in written
    await executor.define(a_flow(checking(ordered()), version=2))
    async with statements(executor) as sent:
        await executor.act(*(recorded() for _ in range(20)), enroll())
    assert len([one for one in sent if "activity" in one]) == 3


def test_only_the_metrics_that_are_needed_are_read() -> None:
    flow = a_flow([*checking(ordered(within=WEEK)), *waiting(did("Started Chat"))], version=2)
    needs = needed_of({FLOW: flow}, [], [enroll()])
    assert needs == {HERE: {ORDERS: ActivityNeed(7 * DAY, 2)}}
    assert needed_of({FLOW: a_flow()}, [], [enroll()]) == {}


async def test_an_event_nobody_listens_to_reads_no_membership(executor: Executor) -> None:
    await executor.define(a_waiting_flow(did("form.submitted", form_id="f1")))
    await executor.act(created(), enroll())
    async with transaction(executor.pool) as tx:
        for event in (recorded(), submitted("f2"), mailed("opened")):
            assert await memberships.read(tx, needed_by([Received(event, 0)])) == []
        assert len(await memberships.read(tx, needed_by([Received(submitted("f1"), 0)]))) == 1


async def test_of_a_part_of_a_metric_the_newest_are_looked_through(executor: Executor) -> None:
    """One submission of the form lies behind a thousand of others: nobody can say it is none."""
    await executor.act(created(), submitted("f1", at=NOW - 3 * DAY))
    others = [submitted("f2", at=NOW - timedelta(minutes=one)) for one in range(1000)]
    await executor.act(*others)
    assert await enters(executor, did("form.submitted", form_id="f1")) == "unknown"


async def test_old_months_are_folded_into_totals(executor: Executor) -> None:
    """What counts for all time stays, with its form; what counts in a window is long over."""
    old = NOW - 400 * DAY
    steps = [recorded(at=old), recorded(at=old - DAY), submitted("f1", at=old)]
    await executor.act(created(), *steps)
    await age(executor, 4 * 365)
    await executor.act(recorded(at=NOW - DAY))
    await maintain_partitions(executor.pool, partitioned(settings()))
    assert await count(executor) == 1
    totals = await executor.pool.fetch("SELECT * FROM activity_total ORDER BY metric")
    assert [(row["metric"], row["form_id"], row["number"]) for row in totals] == [
        ("Placed Order", None, 2), ("form.submitted", "f1", 1),
    ]  # fmt: skip
    await maintain_partitions(executor.pool, partitioned(settings()))
    thrice = {"operator": "equals", "value": 3}
    assert await enters(executor, ordered(count=thrice)) == "yes"


async def test_totals_are_added_up_and_erased_with_their_contact(executor: Executor) -> None:
    await executor.act(created())
    for years in (6, 5):
        await executor.act(recorded(at=NOW - 2000 * DAY - years * DAY))
        await age(executor, years * 365)
        await maintain_partitions(executor.pool, partitioned(settings()))
    assert await executor.pool.fetchval("SELECT number FROM activity_total") == 2
    await executor.act(observed(ContactDeleted.model_validate({**cloud(), "time": NOW + DAY})))
    assert await count(executor, "activity_total") == 0


async def test_who_is_erased_while_a_month_is_added_up_is_in_no_total(executor: Executor) -> None:
    """What the adding up has still seen of it is written as if the erasure had come right after."""
    gone = observed(ContactDeleted.model_validate({**cloud(), "time": NOW + DAY}))
    order = recorded()
    await executor.act(created(), gone)
    async with transaction(executor.pool) as tx:
        await activity.record(tx, [Done(HERE, ORDERS, NOW, order.id)])
        await activity.fold(tx, FAR)
    assert await count(executor, "activity_total") == 0


async def test_who_is_erased_while_a_month_goes_is_erased_when_it_is_gone(
    executor: Executor,
) -> None:
    """The erasure waits for the moment in which nothing else may be erased, and then finds all."""
    await executor.act(created(), recorded())
    await age(executor, 4 * 365)
    months = [one for one in partitioned(settings()) if one.table == "activity"]
    await maintain_partitions(executor.pool, [replace(months[0], keep=9999 * DAY)])
    gone = observed(ContactDeleted.model_validate({**cloud(), "time": NOW + DAY}))
    async with transaction(executor.pool) as tx:
        await activity.fold(tx, await tx.fetchval("SELECT now() - interval '3 years'"))
        assert await tx.fetchval("SELECT count(*) FROM activity_total") == 1
        erasing = asyncio.create_task(executor.act(gone))
        while not await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.wait([erasing], timeout=0.01)
            assert not erasing.done()
    await erasing
    assert (await count(executor), await count(executor, "activity_total")) == (0, 0)


async def test_a_wait_for_activity_that_nothing_woke_is_counted(executor: Executor) -> None:
    await executor.define(a_waiting_flow(ordered()))
    await executor.act(created(), enroll())
    await executor.pool.execute("UPDATE flow_definition SET changed_at = now() - interval '1 hour'")
    watching = WatchWaits(executor.pool, executor.clock, executor.flows, page=1)  # type: ignore[arg-type]
    await look_at_all(watching)
    assert watching.count == 0
    await executor.pool.execute("UPDATE membership SET listens = '{7}'")
    await executor.act(recorded())
    await look_at_all(watching)
    assert watching.count == 1


async def look_at_all(watching: WatchWaits) -> None:
    for _ in range(3):
        await watching.look()


async def age(executor: Executor, days: int) -> None:
    """Let all activity have been recorded so long ago."""
    await executor.pool.execute(
        "UPDATE activity SET recorded_at = recorded_at - make_interval(days => $1)", days
    )


def settings() -> Settings:
    return Settings.model_validate(
        {
            "DATABASE_URL": "postgresql://x@localhost/x", "KAFKA_BOOTSTRAP_SERVERS": "localhost",
            "public_url": "http://localhost", "signing_key": "x" * 16, "smtp_host": "localhost",
        }
    )  # fmt: skip
