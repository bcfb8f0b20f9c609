"""What is old goes with its partition; what is deleted goes at once."""

from typing import Any
from uuid import uuid4

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import Pool, transaction
from services.api.handlers import membership_events
from services.api.settings import Settings
from services.api.store import counts, memberships, refusals
from services.api.use_cases import erasure
from services.api.wiring import partitioned
from services.step_executor.settings import Settings as ExecutorSettings
from tests.integration.api.messages import (
    COMPLETED,
    ENTERED,
    WAITING,
    a_journey,
    a_refusal,
    contact_event,
    tell,
    tell_of_contacts,
)
from tests.support.builders import FLOW, NOW, WORKSPACE, Json

ADDRESS = "ada@x.example"
SAW: Json = {
    "outcome": "true",
    "judged": [{"asked": "contact_field city", "saw": "Rome", "outcome": True}],
}
CLICKED = ("email_clicked", {"url": f"https://x.example/?to={ADDRESS}"})
SKIPPED = ("email_skipped", {"reason": "no_address"})
FAILED = ("step_failed", {"reason": f"550 {ADDRESS} is unknown"})
CONTEXT = {"coupon": "For Ada"}
TABLES = "membership timeline ended_membership refusal contact deleted_contact".split()


NEEDED: Json = {
    "DATABASE_URL": "postgresql://api@localhost/api", "KAFKA_BOOTSTRAP_SERVERS": "localhost",
    "public_url": "http://localhost", "signing_key": "x" * 16,
}  # fmt: skip


def settings(**changes: Any) -> Settings:
    return Settings(**NEEDED, **changes)


async def age(pool: Pool, table: str, column: str, days: int) -> None:
    """Let all that is in a table be older."""
    change = f"{column} = {column} - make_interval(days => {days})"
    await pool.execute(f"UPDATE {table} SET {change}")  # noqa: S608  (a test's own)


async def test_what_is_old_goes_with_its_partition(api_pool: Pool) -> None:
    tables = partitioned(settings())
    old, living, recent = a_journey(), a_journey(), a_journey()
    await tell(api_pool, old.enters(), old.completes(), living.enters(), a_refusal())
    await tell_of_contacts(api_pool, contact_event("contact.deleted", {}))
    await age(api_pool, "ended_membership", "stored_at", 440)
    await age(api_pool, "refusal", "stored_at", 130)
    await age(api_pool, "deleted_contact", "deleted_at", 130)
    await age(api_pool, "seen_event", "week", 21)
    await tell(api_pool, recent.enters(), recent.completes())
    await maintain_partitions(api_pool, tables)

    assert await memberships.read(api_pool, WORKSPACE, FLOW, old.membership_id) is None
    for journey, length in ((living, 2), (recent, 4)):
        kept = await memberships.read(api_pool, WORKSPACE, FLOW, journey.membership_id)
        assert kept is not None
        assert len(kept.timeline) == length
    query = {"workspace_id": WORKSPACE, "flow_id": None, "contact_id": None}
    assert await refusals.page(api_pool, **query, at_most=9, skip=0) == ([], 0)
    for table in ("deleted_contact", "seen_event"):
        assert await api_pool.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608
    assert (await counts.read(api_pool, [FLOW]))[FLOW].entered == 3


async def test_how_long_is_a_setting(api_pool: Pool) -> None:
    journey = a_journey()
    await tell(api_pool, journey.enters(), journey.completes())
    await age(api_pool, "ended_membership", "stored_at", 440)
    await maintain_partitions(api_pool, partitioned(settings(ended_memberships_keep_days=500)))
    assert await memberships.read(api_pool, WORKSPACE, FLOW, journey.membership_id) is not None


@pytest.mark.parametrize("days", [400.0, 500.5])
def test_one_environment_does_for_the_api_and_the_executor(
    days: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_ENDED_MEMBERSHIPS_KEEP_DAYS", str(days))
    monkeypatch.setenv("MILLRACE_REFUSALS_KEEP_DAYS", "91")
    executor = ExecutorSettings(**NEEDED, smtp_host="localhost")
    api = settings()
    assert api.ended_memberships_keep_days == executor.ended_memberships_keep_days == days
    assert api.deleted_contacts_keep_days == executor.deleted_contacts_keep_days == 90
    assert api.refusals_keep_days == 91


async def everything(pool: Pool) -> str:
    """Give all that is held of memberships, refusals and contacts, as text."""
    rows = [await pool.fetch(f"SELECT {table}::text FROM {table}") for table in TABLES]  # noqa: S608
    return "\n".join(str(row[0]) for table in rows for row in table)


def personal(text: str) -> list[str]:
    return [one for one in (ADDRESS, "Rome", "Ada", "https:", "/crm:") if one in text]


@pytest.mark.parametrize("ended", [True, False])
async def test_deleting_a_contact_erases_the_person(api_pool: Pool, ended: bool) -> None:
    journey, other = a_journey(context=CONTEXT), a_journey(contact_id=WORKSPACE, context=CONTEXT)
    created = contact_event("contact.created", {"fields": {"email": ADDRESS, "firstName": "Ada"}})
    await tell_of_contacts(api_pool, created)
    walks = [journey.enters(), journey.walks([("step_executed", SAW), FAILED, SKIPPED], "active")]
    if ended:
        end: Json = {"status": "completed", "ended_at": NOW}
        walks += [journey.walks([COMPLETED], **end), journey.walks([CLICKED], **end)]
    await tell(api_pool, *walks, a_refusal(), other.enters())
    held = [ADDRESS, "Rome", "Ada", *(["https:"] if ended else []), "/crm:"]
    assert personal(await everything(api_pool)) == held

    await tell_of_contacts(api_pool, contact_event("contact.deleted", {}))
    await erasure.erase_due(api_pool)
    left = await everything(api_pool)
    assert personal(left.replace("For Ada", "", 1)) == [], left  # the other contact's own
    found = await memberships.read(api_pool, WORKSPACE, FLOW, journey.membership_id)
    assert found is not None
    assert (found.contact, found.state.dynamic_context) == ({}, {})
    told = [(entry.kind, entry.details) for entry in found.timeline]
    assert told[:5] == [
        ENTERED, WAITING, ("step_executed", {"outcome": "true"}), ("step_failed", {}), SKIPPED,
    ]  # fmt: skip
    kept = await memberships.read(api_pool, WORKSPACE, FLOW, other.membership_id)
    assert kept is not None
    assert kept.state.dynamic_context == CONTEXT


async def test_what_comes_late_is_written_without_the_person(api_pool: Pool) -> None:
    begun, late = a_journey(context=CONTEXT), a_journey(context=CONTEXT)
    await tell(api_pool, begun.enters())
    await tell_of_contacts(api_pool, contact_event("contact.deleted", {}))
    await erasure.erase_due(api_pool)
    await tell(
        api_pool,
        begun.walks([("step_executed", SAW), FAILED], "active"),
        begun.is_dropped("contact_deleted"),
        late.enters(),
        a_refusal(),
    )
    left = await everything(api_pool)
    assert personal(left) == [], left
    found = await memberships.read(api_pool, WORKSPACE, FLOW, begun.membership_id)
    assert found is not None
    assert found.timeline[-1].details == {"reason": "contact_deleted"}


async def test_what_was_being_written_meanwhile_is_erased_a_while_later(api_pool: Pool) -> None:
    async with transaction(api_pool) as tx:
        batch: list[Received[Any]] = [Received(a_journey(context=CONTEXT).enters(), 0)]
        await membership_events.handle_batch(tx, batch)
        await tell_of_contacts(api_pool, contact_event("contact.deleted", {}))
        await erasure.erase_due(api_pool)
    assert personal(await everything(api_pool)) == ["Ada"]
    for column in ("deleted_at", "erase_at"):
        await age(api_pool, "deleted_contact", column, 1)
    await erasure.erase_due(api_pool)
    assert personal(await everything(api_pool)) == []
    assert await api_pool.fetchval("SELECT erase_at FROM deleted_contact") is None


async def test_who_comes_back_is_a_new_person(api_pool: Pool) -> None:
    former, anew = a_journey(context=CONTEXT), a_journey(context={"coupon": "New"})
    created = contact_event("contact.created", {"fields": {"email": "new@x.example"}})
    await tell(api_pool, former.enters())
    again = contact_event("contact.created", {"fields": {"email": "new@x.example"}})
    await tell_of_contacts(api_pool, created, contact_event("contact.deleted", {}), again)
    await tell(api_pool, anew.enters())
    await erasure.erase_due(api_pool)
    assert personal(await everything(api_pool)) == []
    found = await memberships.read(api_pool, WORKSPACE, FLOW, anew.membership_id)
    assert found is not None
    assert found.state.dynamic_context == {"coupon": "New"}
    assert found.contact["email"] == "new@x.example"


async def test_many_are_erased_some_at_a_time(
    api_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "_PAGE", 2)
    gone = [uuid4() for _ in range(5)]
    await tell(api_pool, *(a_journey(contact_id=one, context=CONTEXT).enters() for one in gone))
    deletions = [contact_event("contact.deleted", {}, subject=one) for one in gone]
    await tell_of_contacts(api_pool, *deletions)
    await erasure.erase_due(api_pool)
    assert personal(await everything(api_pool)) == []
