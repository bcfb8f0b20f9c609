"""Contact events through the matcher on real Postgres: each counts once, and starts its flows."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

import services.trigger_matcher
from libs.chassis.clock import Clock
from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.outbox import unpack
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publisher import PublishResult
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Incoming, Outgoing, Received
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.contracts import topics
from libs.contracts.command_replies import DefinitionApplied
from libs.contracts.contact_events import ADAPTER, ContactEvent
from libs.contracts.flow_definitions import FlowDefined, FlowDefinition
from libs.contracts.step_commands import FlowStart, Observe
from libs.domain.flow import Flow
from services.trigger_matcher.handlers import contact_events, flow_definitions
from services.trigger_matcher.store.definitions import CurrentTriggers
from tests.support.builders import CONTACT, FLOW, LIST, NOW, WORKSPACE, a_flow
from tests.support.waiting import eventually

MIGRATIONS = Path(services.trigger_matcher.__file__).parent / "migrations"
KEEP_DAYS = 7.0


@pytest.fixture
async def matcher(pool: Pool) -> Pool:
    await migrate(pool, MIGRATIONS)
    await forget_old_ones(pool)
    return pool


async def forget_old_ones(pool: Pool) -> None:
    await maintain_partitions(pool, [seen_events.partitioned(KEEP_DAYS)])


def event(event_id: str = "", note: str = "", **changes: Any) -> ContactEvent:
    kind = {"type": "contact.created", "data": {"fields": {"note": note}}}
    whole = {
        "id": event_id or str(uuid4()),
        "source": "/crm",
        "subject": str(CONTACT),
        "time": NOW.isoformat(),
        "workspaceid": str(WORKSPACE),
        **kind,
        **changes,
    }
    return ADAPTER.validate_python(whole)


def put_on_list(event_id: str = "") -> ContactEvent:
    return event(event_id, type="list.contact_added", data={"list_id": str(LIST)})


async def match(
    pool: Pool, *events: ContactEvent, partition: int = 0, current: CurrentTriggers | None = None
) -> list[Observe]:
    batch = [Received(one, partition) for one in events]
    async with transaction(pool) as tx:
        said = await contact_events.handle_batch(tx, batch, current=current or CurrentTriggers())
    return [cast("Observe", one.message) for one in said]


async def define(pool: Pool, *flows: Any, reply: bool = False) -> list[Outgoing]:
    batch: list[FlowDefinition] = [
        FlowDefined(id=uuid4(), time=NOW, workspace_id=WORKSPACE, flow=flow, reply=reply)
        for flow in flows
    ]
    async with transaction(pool) as tx:
        received = [Received(one, 0) for one in batch]
        return await flow_definitions.handle_batch(tx, received, clock=Clock())


async def test_an_event_is_told_once_with_the_flows_it_starts(matcher: Pool) -> None:
    await define(matcher, a_flow(), a_flow(flow_id=UUID(int=77), status="paused"))
    added, created = put_on_list(), event()
    told = await match(matcher, added, created, added)
    assert [one.event for one in told] == [added, created]
    assert [[start.flow_id for start in one.starts] for one in told] == [[FLOW], []]
    assert told[0].starts[0].min_flow_version == 1
    assert told[0].starts[0].trigger_type == "added_to_static_list"
    assert await match(matcher, created, added) == []


async def test_the_same_id_counts_again_from_elsewhere(matcher: Pool) -> None:
    one = event("1")
    others = [event("1", source="/shop"), event("1", workspaceid=str(UUID(int=5))), event("2")]
    assert len(await match(matcher, one, *others)) == 4


async def test_what_a_definition_says_counts_from_the_next_batch_on(matcher: Pool) -> None:
    current = CurrentTriggers()
    assert (await match(matcher, put_on_list(), current=current))[0].starts == []
    replies = await define(matcher, a_flow(version=3), a_flow(version=2), reply=True)
    assert [cast("DefinitionApplied", one.message).version for one in replies] == [3, 2]
    (told,) = await match(matcher, put_on_list(), current=current)
    assert [start.min_flow_version for start in told.starts] == [3]
    await define(matcher, a_flow(version=4, status="paused"), a_flow(version=1))
    assert (await match(matcher, put_on_list(), current=current))[0].starts == []


async def test_steps_and_rules_are_not_kept(matcher: Pool) -> None:
    await define(matcher, a_flow())
    kept = await matcher.fetchval("SELECT definition FROM flow_triggers")
    assert kept.keys() == {"flow_id", "workspace_id", "version", "status", "triggers"}


# What triggers ask of events -------------------------------------------------------------------


def updated(**fields: Any) -> ContactEvent:
    return event(type="contact.updated", data={"fields": fields})


def asking(number: int, **trigger: Any) -> Flow:
    trigger = {"type": "contact_updated", "field": "leadStatus", **trigger}
    return a_flow(flow_id=UUID(int=number), triggers=[trigger])


async def starts(pool: Pool, *events: ContactEvent) -> list[list[FlowStart]]:
    return [one.starts for one in await match(pool, *events)]


async def test_updates_removals_and_forms_start_what_asks_for_them(matcher: Pool) -> None:
    removed = {"type": "removed_from_static_list", "list_id": str(LIST)}
    form = {"type": "form_submitted", "form_id": "f", "tent_id": str(UUID(int=7))}
    await define(
        matcher,
        asking(1, operator="equals", value="hot", trigger_id="hot"),
        asking(2),
        a_flow(flow_id=UUID(int=3), triggers=[{"type": "contact_created"}, removed]),
        a_flow(flow_id=UUID(int=4), triggers=[form]),
    )
    submission = {"tent_id": str(UUID(int=7)), "form_id": "f"}
    started = await starts(
        matcher,
        updated(leadStatus="Hot"),
        updated(leadStatus="cold"),
        updated(city="Rome"),
        event(type="list.contact_removed", data={"list_id": str(LIST)}),
        event(type="form.submitted", data=submission),
        event(type="form.submitted", data={**submission, "tent_id": str(UUID(int=8))}),
        event(data={"fields": {"leadStatus": "hot"}}),
    )
    assert [[(one.flow_id.int, one.trigger_id) for one in some] for some in started] == [
        [(2, "0"), (1, "hot")], [(2, "0")], [], [(3, "1")], [(4, "0")], [], [(3, "0")],
    ]  # fmt: skip


async def test_a_mail_event_that_changes_a_field_is_an_update_too(matcher: Pool) -> None:
    await define(matcher, asking(1, field="unsubscribed", operator="is_true"))
    mail = {"email_id": str(UUID(int=9))}
    kinds = ("email.unsubscribed", "email.opened", "email.complained")
    started = await starts(matcher, *(event(type=kind, data=mail) for kind in kinds))
    assert [len(one) for one in started] == [1, 0, 1]


async def test_the_type_of_a_custom_field_travels_with_the_flow(matcher: Pool) -> None:
    fields = {str(UUID(int=50)): {"api_name": "since", "type": "date"}}
    trigger = {
        "type": "contact_updated",
        "field": "since",
        "operator": "equals",
        "value": "2026-07-02",
    }
    await define(matcher, a_flow(triggers=[trigger], custom_fields=fields))
    updates = [
        event(type="contact.updated", data={"custom_fields": {"since": value}})
        for value in ("2026-07-02T10:00:00Z", "2026-07-03T00:00:00Z")
    ]
    assert [len(one) for one in await starts(matcher, *updates)] == [1, 0]


async def test_of_a_flow_that_is_not_active_no_trigger_is_kept(matcher: Pool) -> None:
    await define(matcher, a_flow(status="paused"))
    kept = await matcher.fetchval("SELECT definition FROM flow_triggers")
    assert (kept["triggers"], kept["status"]) == ([], "paused")


async def test_the_depth_of_an_event_is_passed_on_and_nonsense_is_refused(matcher: Pool) -> None:
    (told,) = await match(matcher, event(millracedepth=4))
    assert told.event.millracedepth == 4
    assert (await match(matcher, event()))[0].event.millracedepth == 0
    for nonsense in (-1, 2**31, "deep"):
        with pytest.raises(ValidationError):
            event(millracedepth=nonsense)


# B4: what was seen is forgotten by the week ------------------------------------------------------


async def weeks(pool: Pool) -> int:
    """Count the partitions that hold what was seen."""
    counted: int = await pool.fetchval("SELECT count(DISTINCT tableoid) FROM seen_event")
    return counted


async def grow_older(pool: Pool, days: int) -> None:
    """Let what was seen be from so many days earlier."""
    await pool.execute(
        "WITH old AS (DELETE FROM seen_event RETURNING *) INSERT INTO seen_event"
        " SELECT key, date_trunc('week', week - make_interval(days => $1), 'UTC') FROM old",
        days,
    )
    await forget_old_ones(pool)


async def test_b4_a_repeat_is_known_in_whatever_week_it_was_seen(matcher: Pool) -> None:
    events = [event() for _ in range(100)]
    await match(matcher, *events)
    await grow_older(matcher, 7)
    assert await match(matcher, *events) == []
    new = event()
    assert [one.event for one in await match(matcher, *events, new)] == [new]
    assert await weeks(matcher) == 2


async def test_b4_old_events_go_by_the_week_and_not_one_by_one(matcher: Pool) -> None:
    await matcher.execute(
        "INSERT INTO seen_event SELECT gen_random_uuid(), date_trunc('week', now(), 'UTC')"
        " FROM generate_series(1, 200000)"
    )
    await grow_older(matcher, 21)
    assert await matcher.fetchval("SELECT count(*) FROM seen_event") == 0
    left = await matcher.fetchval(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'seen_event'::regclass"
    )
    assert left == 3, "this week's, the next one's, and the default one"


async def test_b4_an_event_costs_the_same_however_many_were_seen(
    matcher: Pool, database: str
) -> None:
    async def scans() -> int:
        seen: int = await matcher.fetchval(
            "SELECT max(seq_scan)::int FROM pg_stat_user_tables"
            " WHERE relname LIKE 'seen\\_event\\_p%'"
        )
        return seen

    async with open_pool(database) as other:
        for _ in range(20):
            await match(other, *(event() for _ in range(200)))
        await other.close()  # backends say what they did when they end
    await eventually(lambda: _remembered(matcher, 4000), "the statistics are in")
    assert await scans() <= 2, "a week is read only when it is made, still empty"


async def _remembered(pool: Pool, number: int) -> bool:
    seen: int = await pool.fetchval(
        "SELECT sum(n_tup_ins)::int FROM pg_stat_user_tables WHERE relname LIKE 'seen_event%'"
    )
    return seen >= number


async def test_b4_an_event_that_comes_through_two_partitions_at_once_counts_once(
    matcher: Pool,
) -> None:
    events = [event() for _ in range(500)]
    one, other = await asyncio.gather(
        match(matcher, *events, partition=0), match(matcher, *reversed(events), partition=1)
    )
    assert len(one) + len(other) == 500
    assert {told.id for told in one}.isdisjoint(told.id for told in other)


# R1: what is told fits -------------------------------------------------------------------------


async def test_r1_one_event_starts_ten_thousand_flows(matcher: Pool) -> None:
    trigger = [{"type": "contact_created"}]
    flows = [a_flow([], flow_id=UUID(int=one), triggers=trigger) for one in range(10_000)]
    await define(matcher, *flows)
    told = await match(matcher, event(note="x" * 600_000))
    assert [one.piece for one in told] == list(range(10))
    started = [start.flow_id for one in told for start in one.starts]
    assert started == [flow.flow_id for flow in flows]
    assert max(len(one.body()) for one in told) < topics.STEP_COMMANDS.max_message_bytes


class _NoKafka(Publisher):
    """Addresses messages; what is published goes nowhere."""

    def __init__(self) -> None:
        sizes = {topic.name: topic.max_message_bytes for topic in topics.ALL}
        super().__init__("", dict.fromkeys(sizes, 4), sizes)

    async def publish_chunks(self, _chunks: object) -> PublishResult:
        return PublishResult()


async def test_r1_an_event_that_fits_no_record_is_condemned_alone(matcher: Pool) -> None:
    handler = partial(contact_events.handle_batch, current=CurrentTriggers())
    origin = Origin("trigger_matcher", "contact.events")
    reader = Reader(origin, handler, matcher, _NoKafka())
    reader.attach(cast("Any", None))
    await matcher.execute(
        "INSERT INTO position (topic, partition, epoch) VALUES ($1, 0, 1)", origin.topic
    )
    reader.armed[0] = OwnedPartition(0, 0, 1)
    events = [event(), event(note="x" * topics.STEP_COMMANDS.max_message_bytes), event()]
    records = [
        Incoming(0, offset, None, one.body(), message=one) for offset, one in enumerate(events)
    ]
    await reader.handle_batch(records)
    await reader.settle()
    rows = await matcher.fetch("SELECT topic, records FROM outbox")
    said = [
        (row["topic"], json.loads(value)) for row in rows for _, value in unpack(row["records"])
    ]
    (letter,) = [body for topic, body in said if topic == "contact.events.dead-letter"]
    assert "MessageTooLarge: a Observe of" in letter["reason"]
    assert letter["offset"] == 1
    assert len([topic for topic, _ in said if topic == "step.commands"]) == 2
