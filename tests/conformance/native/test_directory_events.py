"""The built-in directory following contact.events, on a real database."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.contact_events import ADAPTER
from libs.local.kafka import ROOT
from services.api.handlers import contact_events
from services.api.store import directory
from services.api.store.directory import StoredContact
from tests.support.builders import CONTACT, NOW, WORKSPACE

Happened = tuple[str, dict[str, Any]]
LIST = UUID(int=77)
CREATED: Happened = (
    "contact.created",
    {"fields": {"email": "Ada@x.example"}, "custom_fields": {"n": 1}},
)
ADDED: Happened = ("list.contact_added", {"list_id": str(LIST)})
REMOVED: Happened = ("list.contact_removed", {"list_id": str(LIST)})
OPENED: Happened = ("email.opened", {"email_id": str(UUID(int=5))})
DELETED: Happened = ("contact.deleted", {})
METRIC: Happened = ("activity.recorded", {"metric": "Placed Order"})


async def after(pool: Pool, *batches: list[Happened]) -> StoredContact | None:
    await migrate(pool, ROOT / "services/api/migrations")
    for batch in batches:
        events = [event(kind, data) for kind, data in batch]
        async with transaction(pool) as tx:
            assert await contact_events.handle_batch(tx, events) == []
    found = await directory.read_contacts(pool, [(WORKSPACE, CONTACT)])
    return found.get((WORKSPACE, CONTACT))


def event(kind: str, data: dict[str, Any]) -> Received[Any]:
    whole = {
        "id": uuid4().hex, "source": "/t", "type": kind, "subject": CONTACT, "time": NOW,
        "workspaceid": WORKSPACE, "data": data,
    }  # fmt: skip
    return Received(ADAPTER.validate_python(whole), 0)


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_events_apply_in_their_order(pool: Pool, in_one_batch: bool) -> None:
    changed: Happened = ("contact.updated", {"fields": {"email": None, "city": "Rome"}})
    happened = [CREATED, ADDED, ADDED, changed]
    contact = await after(pool, *([happened] if in_one_batch else [[one] for one in happened]))
    assert contact is not None
    assert (contact.fields["email"], contact.fields["city"]) == (None, "Rome")
    assert (contact.custom_fields, contact.lists) == ({"n": 1}, [LIST])


@pytest.mark.parametrize("last", [OPENED, METRIC, REMOVED, DELETED])
@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_what_a_deleted_contact_still_does_brings_it_not_back(
    pool: Pool, in_one_batch: bool, last: Happened
) -> None:
    happened = [CREATED, ADDED, DELETED, last]
    assert await after(pool, *([happened] if in_one_batch else [[one] for one in happened])) is None


@pytest.mark.parametrize("first", [CREATED, ADDED, ("contact.updated", {"fields": {"a": 1}})])
async def test_a_contact_may_begin_with_any_fact_that_says_it_is_there(
    pool: Pool, first: Happened
) -> None:
    assert await after(pool, [first]) is not None


async def test_a_contact_may_come_back(pool: Pool) -> None:
    contact = await after(pool, [CREATED, ADDED], [DELETED, CREATED])
    assert contact is not None
    assert contact.lists == []


async def test_bounces_and_complaints_are_remembered(pool: Pool) -> None:
    bounced: Happened = ("email.bounced", OPENED[1])
    contact = await after(pool, [CREATED, bounced, ("email.complained", OPENED[1])])
    assert contact is not None
    assert contact.fields["marketingEmailInvalid"] is True
    assert contact.fields["unsubscribed"] is True


async def test_lists_known_from_events_wait_for_their_name(pool: Pool) -> None:
    await after(pool, [ADDED])
    assert [one["name"] for one in await directory.lists(pool, WORKSPACE)] == [str(LIST)]
    for name, shown in (("People", "People"), ("Others", "People")):
        async with transaction(pool) as tx:
            named = await directory.name_list(tx, WORKSPACE, LIST, name, NOW)
        assert (named["name"], named["created_at"]) == (shown, NOW)
    await after(pool, [REMOVED, ADDED])
    assert [one["name"] for one in await directory.lists(pool, WORKSPACE)] == ["People"]
