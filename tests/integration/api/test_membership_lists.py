"""Lists of a flow's memberships, of live and ended ones together."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.postgres.pool import Pool, transaction
from services.api.native.memberships import MemberFilter
from services.api.store import memberships
from tests.integration.api.messages import a_journey, contact_event, tell, tell_of_contacts
from tests.support.builders import CONTACT, FLOW, NOW, WORKSPACE, Json

NUMBER = 12


async def fill(pool: Pool, number: int = NUMBER, **changes: Any) -> list[UUID]:
    """Let contacts enter, an hour apart; every third one is completed, every fourth one dropped."""
    hours = (NOW + timedelta(hours=hour) for hour in range(number))
    journeys = [a_journey(entered_at=hour, **changes) for hour in hours]
    await tell(pool, *(journey.enters() for journey in journeys))
    await tell(pool, *(journey.completes() for journey in journeys[::3]))
    await tell(pool, *(one.is_dropped() for one in journeys[1::4] if one.sequence == 2))
    return [journey.membership_id for journey in reversed(journeys)]


async def page(
    pool: Pool, skip: int = 0, at_most: int = 100, **asked: Any
) -> tuple[list[Any], int]:
    query = MemberFilter(**asked).query()
    found, total = await memberships.page(
        pool, workspace_id=WORKSPACE, flow_id=FLOW, at_most=at_most, skip=skip, **query
    )
    return found, total


async def test_live_and_ended_ones_are_listed_together_newest_first(api_pool: Pool) -> None:
    newest_first = await fill(api_pool)
    found: list[UUID] = []
    for skip in range(0, NUMBER, 5):
        members, total = await page(api_pool, skip, 5)
        assert total == NUMBER
        found += [one.state.membership_id for one in members]
    assert found == newest_first
    assert await page(api_pool, 500) == ([], NUMBER)


async def test_they_are_filtered(api_pool: Pool) -> None:
    await fill(api_pool)
    by_status = {}
    for status in ("active", "waiting", "completed", "dropped"):
        members, by_status[status] = await page(api_pool, status=status)
        assert {one.state.status for one in members} <= {status}
        assert len(members) == by_status[status]
    assert by_status == {"active": 0, "waiting": 6, "completed": 4, "dropped": 2}
    by_run_status = {
        run_status: (await page(api_pool, run_status=run_status))[1]
        for run_status in ("in_flow", "completed", "failed", "exited_flow")
    }
    assert by_run_status == {"in_flow": 6, "completed": 4, "failed": 0, "exited_flow": 2}
    assert (await page(api_pool, entered_from=NOW + timedelta(hours=9)))[1] == 3
    assert (await page(api_pool, entered_to=NOW + timedelta(hours=9)))[1] == 10
    assert (await page(api_pool, exited_from=NOW + timedelta(days=1)))[1] == 4
    assert (await page(api_pool, exited_to=NOW + timedelta(days=1)))[1] == 2


async def test_instants_are_compared_as_they_are_shown(api_pool: Pool) -> None:
    await tell(api_pool, a_journey(entered_at=NOW + timedelta(microseconds=1_234)).enters())
    (member,), _ = await page(api_pool)
    assert member.state.entered_at == NOW + timedelta(milliseconds=1)
    assert (await page(api_pool, entered_to=member.state.entered_at))[1] == 1


async def test_members_come_with_their_contact_and_timeline(api_pool: Pool) -> None:
    created = contact_event("contact.created", {"fields": {"email": "ada@x.example"}})
    await tell_of_contacts(api_pool, created)
    living, ended = a_journey(), a_journey()
    await tell(api_pool, living.enters(), ended.enters(), ended.completes())
    members, _ = await page(api_pool)
    assert {one.contact["email"] for one in members} == {"ada@x.example"}
    told = {one.state.membership_id: len(one.timeline) for one in members}
    assert told == {living.membership_id: 2, ended.membership_id: 4}
    assert members[0].state.contact_id == CONTACT


async def plan(pool: Pool, mode: str, asked: Json) -> str:
    """Say how a page is read."""
    query = MemberFilter(**asked).query()
    names = "status run_status entered_from entered_to exited_from exited_to".split()
    values = [WORKSPACE, FLOW, *(query[name] for name in names), 25, 50]
    async with transaction(pool) as tx:
        await tx.execute(f"SET LOCAL plan_cache_mode = force_{mode}_plan")
        lines = await tx.fetch(f"EXPLAIN (COSTS OFF) {memberships.queries.page.sql}", *values)
    return "\n".join(line[0] for line in lines)


@pytest.mark.parametrize("mode", ["generic", "custom"])
@pytest.mark.parametrize("asked", [{}, {"status": "completed"}, {"run_status": "in_flow"}])
async def test_no_other_flow_s_members_are_read(api_pool: Pool, mode: str, asked: Json) -> None:
    for number in range(20):
        await fill(api_pool, 200, flow_id=FLOW if number == 0 else uuid4())
    await api_pool.execute("ANALYZE")
    read = await plan(api_pool, mode, asked)
    assert not re.search(r"Seq Scan on (ended_)?membership", read), read


@pytest.mark.parametrize("mode", ["generic", "custom"])
async def test_a_page_reads_no_more_than_it_shows_or_skips(api_pool: Pool, mode: str) -> None:
    await fill(api_pool, 4_000)
    await api_pool.execute("ANALYZE")
    read = await plan(api_pool, mode, {})
    listing = re.search(
        r"Limit\n +->  Merge Append\n +Sort Key: membership\S*\.entered_at DESC, .*\n"
        r" +->  Index Scan using membership_of_flow .*\n(.*\n)+"
        r" +->  Index Scan using ended_membership\S+_flow_id_entered_at",
        read,
    )
    assert listing, read
