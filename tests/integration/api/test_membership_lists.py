"""Lists of a flow's memberships, of live and ended ones together."""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import Pool
from services.api.loops.fold_counts import fold
from services.api.native.memberships import MemberFilter
from services.api.store import member_lists as store
from services.api.store.member_lists import Window
from services.api.use_cases import member_lists
from services.api.use_cases.member_lists import MemberPage
from services.api.wiring import partitioned
from tests.integration.api.messages import a_journey, contact_event, tell, tell_of_contacts
from tests.integration.api.test_retention import age, settings
from tests.integration.api.test_routes import create, issue
from tests.support.builders import CONTACT, FLOW, NOW, Json

NUMBER = 12
MANY = 300_000
SECOND = timedelta(seconds=1)


async def fill(pool: Pool, number: int = NUMBER, **changes: Any) -> list[UUID]:
    """Let contacts enter, an hour apart; every third one is completed, every fourth one dropped."""
    hours = (NOW + timedelta(hours=hour) for hour in range(number))
    journeys = [a_journey(entered_at=hour, **changes) for hour in hours]
    await tell(pool, *(journey.enters() for journey in journeys))
    await tell(pool, *(journey.completes() for journey in journeys[::3]))
    await tell(pool, *(one.is_dropped() for one in journeys[1::4] if one.sequence == 2))
    return [journey.membership_id for journey in reversed(journeys)]


async def page(pool: Pool, skip: int = 0, at_most: int = 100, **asked: Any) -> MemberPage:
    query = MemberFilter(**asked).query()
    return await member_lists.page(pool, FLOW, query, Window(skip, at_most))


async def ids(pool: Pool, skip: int = 0, at_most: int = 100, **asked: Any) -> list[UUID]:
    found = await page(pool, skip, at_most, **asked)
    return [one.state.membership_id for one in found.members]


async def total(pool: Pool, **asked: Any) -> int:
    """Count what is asked for; as many must be found."""
    found = await page(pool, **asked)
    assert (len(found.members), found.total_is_exact) == (found.total, True)
    return found.total


async def test_live_and_ended_ones_are_listed_together_newest_first(api_pool: Pool) -> None:
    newest_first = await fill(api_pool)
    found: list[UUID] = []
    for skip in range(0, NUMBER, 5):
        assert (await page(api_pool, skip, 5)).total == NUMBER
        found += await ids(api_pool, skip, 5)
    assert found == newest_first
    assert await page(api_pool, 500) == MemberPage([], NUMBER)


async def test_they_are_filtered(api_pool: Pool) -> None:
    await fill(api_pool)
    by_status = {}
    for status in ("active", "waiting", "completed", "dropped"):
        by_status[status] = await total(api_pool, status=status)
        members = (await page(api_pool, status=status)).members
        assert {one.state.status for one in members} <= {status}
    assert by_status == {"active": 0, "waiting": 6, "completed": 4, "dropped": 2}
    by_run_status = {
        run_status: await total(api_pool, run_status=run_status)
        for run_status in ("in_flow", "completed", "failed", "exited_flow")
    }
    assert by_run_status == {"in_flow": 6, "completed": 4, "failed": 0, "exited_flow": 2}
    assert await total(api_pool, status="waiting", run_status="completed") == 0
    nine, day = NOW + timedelta(hours=9), NOW + timedelta(days=1)
    assert await total(api_pool, entered_from=nine) == 3
    assert await total(api_pool, entered_to=nine) == 10
    assert await total(api_pool, entered_from=nine, entered_to=nine) == 1
    assert await total(api_pool, entered_from=nine, entered_to=NOW) == 0
    assert await total(api_pool, exited_from=day) == 4
    assert await total(api_pool, exited_to=day) == 2
    assert await total(api_pool, exited_to=day, status="waiting") == 0
    assert await total(api_pool, entered_from=nine, status="completed") == 1
    assert await total(api_pool, entered_to=nine, exited_to=day) == 2
    assert await total(api_pool, entered_to=nine, run_status="in_flow") == 4


async def test_instants_are_compared_as_they_are_shown(api_pool: Pool) -> None:
    await tell(api_pool, a_journey(entered_at=NOW + timedelta(microseconds=1_234)).enters())
    (member,) = (await page(api_pool)).members
    assert member.state.entered_at == NOW + timedelta(milliseconds=1)
    assert await total(api_pool, entered_to=member.state.entered_at) == 1
    assert await total(api_pool, entered_from=member.state.entered_at) == 1


async def test_members_come_with_their_contact_and_timeline(api_pool: Pool) -> None:
    created = contact_event("contact.created", {"fields": {"email": "ada@x.example"}})
    await tell_of_contacts(api_pool, created)
    living, ended = a_journey(), a_journey()
    await tell(api_pool, living.enters(), ended.enters(), ended.completes())
    members = (await page(api_pool)).members
    assert {one.contact["email"] for one in members} == {"ada@x.example"}
    told = {one.state.membership_id: len(one.timeline) for one in members}
    assert told == {living.membership_id: 2, ended.membership_id: 4}
    assert members[0].state.contact_id == CONTACT


async def test_where_members_are_looked_through_it_ends_somewhere(
    api_pool: Pool, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_id = UUID((await create(api))["flow_id"])
    await fill(api_pool, flow_id=flow_id)
    path = f"/v1/email-flows/{flow_id}/members"
    monkeypatch.setattr(member_lists, "MOST", 3)
    for asked, shown in (
        ({"status": "waiting", "entered_from": NOW.isoformat()}, 2),  # of the newest three
        ({"exited_from": NOW.isoformat()}, 3),
    ):
        told = (await api.get(path, params=asked)).json()["pagination"]
        assert (told["total"], told["total_is_exact"]) == (shown, False)
        refused = await api.get(path, params={**asked, "page": 4, "limit": 1})
        assert issue(refused) == (400, "page")
    told = (await api.get(path, params={"status": "waiting", "page": 4, "limit": 1})).json()
    assert (len(told["members"]), told["pagination"]["total"]) == (1, 6)
    assert "total_is_exact" not in told["pagination"]


async def add_many(pool: Pool, number: int = MANY, flow_id: UUID = FLOW) -> None:
    """Let many enter, one a second; of ten one is still there, seven completed, two failed."""
    every = f"generate_series(1, {number}) AS n"
    values = f"gen_random_uuid(), '{uuid4()}', '{flow_id}', '{CONTACT}', 2"
    entered = f"'{NOW.isoformat()}'::timestamptz + n * interval '1 second'"
    # A test's own statements, of its own numbers.
    await pool.execute(f"""
        INSERT INTO membership SELECT {values}, 'waiting', 'w', NULL, 'contact_created', '{{}}',
               {entered}, {entered} FROM {every} WHERE n % 10 = 0""")  # noqa: S608
    await pool.execute(f"""
        INSERT INTO ended_membership
        SELECT {values}, CASE WHEN n % 10 > 7 THEN 'dropped' ELSE 'completed' END,
               CASE WHEN n % 10 > 7 THEN 'failed' ELSE 'completed' END, 'w', 'contact_created',
               '{{}}', {entered}, {entered} + interval '3 days', NULL, {entered}, ARRAY['[]'::json]
          FROM {every} WHERE n % 10 > 0""")  # noqa: S608
    tenth = number // 10
    await pool.execute(f"""
        INSERT INTO flow_count_change
        SELECT '{flow_id}', {number}, 0, {tenth}, 7 * {tenth}, 2 * {tenth}, 0,
               '{NOW.isoformat()}', '{NOW.isoformat()}'""")
    await pool.execute("VACUUM ANALYZE membership")
    await pool.execute("VACUUM ANALYZE ended_membership")


async def anchor_all(pool: Pool) -> None:
    for _ in range(7):
        await fold(pool)


async def rows_read(pool: Pool, skip: int, **asked: Any) -> int:
    """Say how many rows PostgreSQL reads for a page of 25, over all of its statements."""
    read = 0

    def note(record: Any) -> None:
        said.append((record.query, record.args))

    said: list[tuple[str, Any]] = []
    async with pool.acquire() as connection:
        connection.add_query_logger(note)
        one = await one_connection(connection, skip, asked)
        connection.remove_query_logger(note)
        assert one.total > skip
        for query, args in said:
            if query.startswith(("SELECT", "WITH")):
                read += await rows_of(connection, query, args)
    return read


async def one_connection(connection: Any, skip: int, asked: Any) -> MemberPage:
    class OnlyThis:
        def acquire(self) -> Any:
            return self

        async def __aenter__(self) -> Any:
            return connection

        async def __aexit__(self, *_: object) -> None:
            return None

    pool: Any = OnlyThis()
    return await page(pool, skip, 25, **asked)


async def rows_of(connection: Any, query: str, args: Any) -> int:
    """Count what every scan of a plan gives, and what it throws away."""
    (said,) = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *args)
    plan = said[0] if isinstance(said[0], list) else json.loads(said[0])
    return round(_scanned(plan[0]["Plan"]))


def _scanned(node: dict[str, Any]) -> float:
    here = 0.0
    if "Scan" in node["Node Type"] and "Relation Name" in node:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        here = rows * node["Actual Loops"]
    return here + sum(_scanned(child) for child in node.get("Plans", []))


async def test_any_page_of_all_members_costs_the_same(api_pool: Pool) -> None:
    await add_many(api_pool)
    await anchor_all(api_pool)
    first = await rows_read(api_pool, 0)
    for skip in (10_000 * 25, MANY // 2, MANY - 25):
        assert await rows_read(api_pool, skip) <= first + store.SPACING + 10
    until = NOW + 200_000 * SECOND
    by_entry: list[Json] = [{"entered_to": until}, {"entered_from": NOW + 50_000 * SECOND}]
    for asked in by_entry:
        most = first + 2 * store.SPACING
        assert await rows_read(api_pool, 4_000 * 25, **asked) <= most
    others: list[Json] = [
        {"status": "waiting"},
        {"run_status": "failed"},
        {"exited_to": NOW + timedelta(days=4)},
    ]
    for asked in others:
        assert await rows_read(api_pool, 0, **asked) <= member_lists.MOST + 200


async def numbered(pool: Pool, skip: int, at_most: int, **asked: Any) -> list[int]:
    """Give a page of members by the number of the second in which they entered."""
    found = (await page(pool, skip, at_most, **asked)).members
    return [round((one.state.entered_at - NOW) / SECOND) for one in found]


@pytest.mark.parametrize("anchored", [True, False])
async def test_anchors_change_nothing_of_what_is_listed(api_pool: Pool, anchored: bool) -> None:
    await add_many(api_pool, 5_000)
    if anchored:
        await fold(api_pool)
        assert await anchors(api_pool) == [1_000, 2_000, 3_000, 4_000]
    for skip in (0, 970, 1_000, 1_001, 2_500, 4_999):
        newest = 5_000 - skip
        assert await numbered(api_pool, skip, 3) == [*range(newest, max(newest - 3, 0), -1)]
    times = {"entered_from": NOW + 1_500 * SECOND, "entered_to": NOW + 3_000.5 * SECOND}
    assert (await page(api_pool, 0, 1, **times)).total == 1_501
    assert await numbered(api_pool, 1_499, 9, **times) == [1_501, 1_500]


async def anchors(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT place FROM member_anchor ORDER BY place")
    return [row["place"] for row in rows]


async def enter_at(pool: Pool, at: datetime) -> None:
    await tell(pool, a_journey(entered_at=at).enters())


async def test_who_enters_late_finds_its_place(api_pool: Pool) -> None:
    await add_many(api_pool, 5_000)
    await fold(api_pool)
    await enter_at(api_pool, NOW + 2_500.5 * SECOND)
    expected = [2_502, 2_501, 2_500, 2_500, 2_499]  # 2500.5 is rounded to the even one
    for _ in range(3):
        assert await numbered(api_pool, 2_498, 5) == expected
        assert await numbered(api_pool, 4_998, 9) == [3, 2, 1]
        assert (await page(api_pool)).total == 5_001
        await fold(api_pool)
    assert await anchors(api_pool) == [1_000, 2_000, 3_000, 4_000]


async def test_members_stay_where_they_are_in_the_list_as_they_move(api_pool: Pool) -> None:
    journeys = [a_journey(entered_at=NOW + n * SECOND) for n in range(6)]
    await tell(api_pool, *(one.enters() for one in journeys))
    before = await ids(api_pool)
    await tell(api_pool, *(one.completes() for one in journeys[::2]))
    assert await ids(api_pool) == before


async def test_what_was_dropped_by_age_is_not_listed_and_not_counted(api_pool: Pool) -> None:
    await add_many(api_pool, 5_000)
    await fold(api_pool)
    await age(api_pool, "ended_membership", "stored_at", 440)
    recent = a_journey(entered_at=NOW + 9_999 * SECOND)
    await tell(api_pool, recent.enters(), recent.completes())
    await maintain_partitions(api_pool, partitioned(settings()))
    assert await total(api_pool, status="completed") == 1
    assert await total(api_pool, run_status="failed") == 0
    for _ in range(2):
        assert (await page(api_pool)).total == 501
        assert await numbered(api_pool, 0, 3) == [9_999, 5_000, 4_990]
        assert await numbered(api_pool, 500, 3) == [10]
        await fold(api_pool)
    assert await anchors(api_pool) == []


async def plan(pool: Pool, mode: str) -> str:
    """Say how a page is read."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL plan_cache_mode = force_{mode}_plan")
        lines = await connection.fetch(
            f"EXPLAIN (COSTS OFF) {store.queries.by_entry.sql}",
            FLOW, store.NEVER, store.LAST_ID, 25, 0,
        )  # fmt: skip
    return "\n".join(line[0] for line in lines)


@pytest.mark.parametrize("mode", ["generic", "custom"])
async def test_a_page_reads_the_indexes_alone_and_in_step(api_pool: Pool, mode: str) -> None:
    await fill(api_pool, 4_000)
    await api_pool.execute("ANALYZE")
    read = await plan(api_pool, mode)
    listing = re.search(
        r"Merge Append\n +Sort Key: membership\S*\.entered_at DESC, .*\n"
        r" +->  Index Only Scan Backward using membership_of_flow .*\n(.*\n)+"
        r" +->  Index Only Scan Backward using ended_membership\S+_flow_id_entered_at",
        read,
    )
    assert listing, read
