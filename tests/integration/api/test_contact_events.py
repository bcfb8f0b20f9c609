"""The built-in directory following contact.events, on a real database."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, transaction
from libs.domain.contact import ContactSnapshot
from services.api.handlers import contact_events
from services.api.store import contact_lists, directory
from services.api.store.contact_lists import ListContent
from services.api.store.directory import StoredContact
from tests.integration.api.messages import contact_event, tell_of_contacts
from tests.support.builders import CONTACT, NOW, WORKSPACE, Json
from tests.support.waiting import eventually

Happened = tuple[str, Json]
LIST = UUID(int=77)
CREATED: Happened = (
    "contact.created",
    {"fields": {"email": "Ada@x.example"}, "custom_fields": {"n": 1}},
)
UPDATED: Happened = ("contact.updated", {"fields": {"city": "Rome"}})
ADDED: Happened = ("list.contact_added", {"list_id": str(LIST)})
REMOVED: Happened = ("list.contact_removed", {"list_id": str(LIST)})
OPENED: Happened = ("email.opened", {"email_id": str(UUID(int=5))})
DELETED: Happened = ("contact.deleted", {})
METRIC: Happened = ("activity.recorded", {"metric": "Placed Order"})


async def after(pool: Pool, *batches: list[Happened]) -> StoredContact | None:
    for batch in batches:
        await tell_of_contacts(pool, *(contact_event(kind, data) for kind, data in batch))
    return (await directory.read_contacts(pool, [(WORKSPACE, CONTACT)])).get((WORKSPACE, CONTACT))


async def known_after(pool: Pool, *batches: list[Happened]) -> ContactSnapshot:
    contact = await after(pool, *batches)
    assert contact is not None
    return contact.snapshot


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_events_apply_in_their_order(api_pool: Pool, in_one_batch: bool) -> None:
    changed: Happened = ("contact.updated", {"fields": {"email": None, "city": "Rome"}})
    happened = [CREATED, ADDED, ADDED, changed]
    known = await known_after(
        api_pool, *([happened] if in_one_batch else [[one] for one in happened])
    )
    assert (known.fields["email"], known.fields["city"]) == (None, "Rome")
    assert known.custom_fields == {"n": 1}
    assert known.lists == {LIST}


@pytest.mark.parametrize("last", [OPENED, METRIC, REMOVED, DELETED, UPDATED, ADDED])
@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_what_comes_late_brings_a_deleted_contact_not_back(
    api_pool: Pool, in_one_batch: bool, last: Happened
) -> None:
    happened = [CREATED, ADDED, DELETED, last]
    batches = [happened] if in_one_batch else [[one] for one in happened]
    assert await after(api_pool, *batches) is None
    assert await api_pool.fetchval("SELECT count(*) FROM deleted_contact") == 1


async def test_a_deletion_may_come_before_anything_else(api_pool: Pool) -> None:
    assert await after(api_pool, [DELETED], [UPDATED]) is None


@pytest.mark.parametrize("first", [CREATED, ADDED, UPDATED])
async def test_a_contact_may_begin_with_any_event_that_says_it_is_there(
    api_pool: Pool, first: Happened
) -> None:
    assert await after(api_pool, [first]) is not None


@pytest.mark.parametrize("batches", [[[DELETED, CREATED]], [[DELETED], [CREATED]]])
async def test_a_contact_may_come_back(api_pool: Pool, batches: list[list[Happened]]) -> None:
    known = await known_after(api_pool, [CREATED, UPDATED, ADDED], *batches)
    assert (known.lists, "city" in known.fields) == (frozenset(), False)
    assert await api_pool.fetchval("SELECT count(*) FROM deleted_contact") == 0


async def test_bounces_and_complaints_are_remembered(api_pool: Pool) -> None:
    bounced: Happened = ("email.bounced", OPENED[1])
    known = await known_after(api_pool, [CREATED, bounced, ("email.complained", OPENED[1])])
    assert known.fields["marketingEmailInvalid"] is True
    assert known.fields["unsubscribed"] is True


async def test_it_is_known_since_when_and_when_it_changed(api_pool: Pool) -> None:
    later = NOW + timedelta(days=1)
    await after(api_pool, [CREATED])
    await tell_of_contacts(api_pool, contact_event(*UPDATED, time=later))
    await tell_of_contacts(api_pool, contact_event(*METRIC, time=later + timedelta(days=1)))
    contact = await after(api_pool)
    assert contact is not None
    assert (contact.created_at, contact.updated_at) == (NOW, later)


@pytest.mark.parametrize("in_one_batch", [True, False])
@pytest.mark.parametrize("last", ["contact.deleted", "contact.updated"])
async def test_a_repeat_brings_nothing_back(api_pool: Pool, last: str, in_one_batch: bool) -> None:
    created, updated = contact_event(*CREATED), contact_event(*UPDATED)
    moved = contact_event(last, {"fields": {"city": "Oslo"}})
    told = [created, updated, moved, created, updated]
    for batch in [told] if in_one_batch else [[one] for one in told]:
        await tell_of_contacts(api_pool, *batch)
    contact = await after(api_pool)
    cities = [contact.snapshot.fields["city"]] if contact else []
    assert cities == ([] if last == "contact.deleted" else ["Oslo"])


HOUR = timedelta(hours=1)


@pytest.mark.parametrize("city", ["Rome", "Paris"])
async def test_r11_what_was_said_earlier_never_overwrites_what_was_said_later(
    api_pool: Pool, city: str
) -> None:
    """The later one may even have said what was known already: it still counts."""
    rome = {"fields": {"city": city}, "custom_fields": {"n": 2}}
    oslo = {"fields": {"city": "Oslo", "firstName": "Ada"}, "custom_fields": {"n": 3}}
    begin: Json = {"fields": {"city": "Rome"}, "custom_fields": {"n": 2}}
    await tell_of_contacts(api_pool, contact_event("contact.created", begin, time=NOW))
    for data, at in ((rome, NOW + 2 * HOUR), (oslo, NOW + HOUR)):
        await tell_of_contacts(api_pool, contact_event("contact.updated", data, time=at))
    known = await known_after(api_pool)
    assert (known.fields["city"], known.custom_fields["n"]) == (city, 2)
    assert known.fields["firstName"] == "Ada", "of this nothing was said later"


async def test_r11_who_left_a_list_later_is_not_on_it_whichever_is_heard_first(
    api_pool: Pool,
) -> None:
    await after(api_pool, [CREATED])
    for (kind, data), at in ((REMOVED, NOW + 2 * HOUR), (ADDED, NOW + HOUR)):
        await tell_of_contacts(api_pool, contact_event(kind, data, time=at))
    assert (await known_after(api_pool)).lists == frozenset()
    assert await api_pool.fetchval("SELECT count(*) FROM list_member") == 0


async def test_r11_a_creation_from_before_the_deletion_brings_nobody_back(api_pool: Pool) -> None:
    await after(api_pool, [CREATED])
    await tell_of_contacts(api_pool, contact_event(*DELETED, time=NOW + 2 * HOUR))
    await tell_of_contacts(api_pool, contact_event(*CREATED, time=NOW + HOUR))
    assert await after(api_pool) is None
    await tell_of_contacts(api_pool, contact_event(*CREATED, time=NOW + 3 * HOUR))
    assert await after(api_pool) is not None


async def test_the_same_id_counts_again_from_elsewhere(api_pool: Pool) -> None:
    await tell_of_contacts(api_pool, contact_event(*CREATED, id="1"))
    await tell_of_contacts(api_pool, contact_event(*UPDATED, id="1", source="/shop"))
    assert (await known_after(api_pool)).fields["city"] == "Rome"


async def test_only_what_may_change_a_contact_is_remembered(api_pool: Pool) -> None:
    await after(api_pool, [CREATED, OPENED, METRIC])
    assert await api_pool.fetchval("SELECT count(*) FROM seen_event") == 1


async def one_waits(pool: Pool) -> bool:
    """Say whether a transaction waits for another."""
    waiting = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return bool(waiting)


@pytest.mark.parametrize("there_before", [True, False])
async def test_two_partitions_may_hold_events_of_one_contact(
    api_pool: Pool, there_before: bool
) -> None:
    if there_before:
        await after(api_pool, [CREATED])
    others = [contact_event(*ADDED, subject=UUID(int=n)) for n in (8, 9)]
    async with transaction(api_pool) as tx:
        first = [others[0], contact_event(*UPDATED), others[1]]
        await contact_events.handle_batch(tx, first, known_lists=set())
        second = [others[1], contact_event("contact.updated", {"custom_fields": {"m": 2}})]
        meanwhile = asyncio.create_task(tell_of_contacts(api_pool, *second, others[0]))
        await eventually(partial(one_waits, api_pool), "one waits for the other")
    await meanwhile
    known = await known_after(api_pool)
    assert (known.fields["city"], known.custom_fields["m"]) == ("Rome", 2)


async def statements(pool: Pool, *happened: Happened, known_lists: set[Any]) -> list[str]:
    """Say what a batch asks of the database, in a word each."""
    asked: list[str] = []

    def note(record: Any) -> None:
        asked.append(record.query.split()[0])

    async with transaction(pool) as tx:
        tx.add_query_logger(note)
        batch: list[Received[Any]] = [contact_event(kind, data) for kind, data in happened]
        await contact_events.handle_batch(tx, batch, known_lists=known_lists)
        tx.remove_query_logger(note)
    return asked


async def test_what_changes_nothing_costs_nothing(api_pool: Pool) -> None:
    await after(api_pool, [CREATED, ADDED])
    assert await statements(api_pool, OPENED, METRIC, known_lists=set()) == []
    # The contact is held, the event remembered, contact and list are read; neither is written.
    lists: set[Any] = set()
    held = ["SELECT", "SELECT", "INSERT"]
    assert await statements(api_pool, ADDED, known_lists=lists) == [*held, "SELECT", "SELECT"]
    assert lists == {(WORKSPACE, LIST)}
    assert await statements(api_pool, ADDED, known_lists=lists) == [*held, "SELECT"]


async def test_a_list_is_not_taken_for_known_before_it_is_committed(api_pool: Pool) -> None:
    lists: set[Any] = set()
    await statements(api_pool, ADDED, known_lists=lists)
    assert lists == set()


async def test_lists_known_from_events_wait_for_their_name(api_pool: Pool) -> None:
    await after(api_pool, [ADDED])
    assert [one["name"] for one in await directory.lists(api_pool, WORKSPACE)] == [str(LIST)]
    for name, shown in (("People", "People"), ("Others", "People")):
        async with transaction(api_pool) as tx:
            content = ListContent(name)
            named = await contact_lists.name_list(tx, WORKSPACE, LIST, content, NOW)
        assert (named.name, named.created_at) == (shown, NOW)
    await after(api_pool, [REMOVED, ADDED])
    assert [one["name"] for one in await directory.lists(api_pool, WORKSPACE)] == ["People"]
