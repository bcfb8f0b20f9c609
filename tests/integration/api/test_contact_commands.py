"""The built-in directory doing what flows ask, on a real database."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.contact_commands import ChangeListMembership, ContactCommand, UpdateContact
from libs.contracts.contact_events import ContactEvent
from services.api.handlers import contact_commands
from services.api.store import contact_lists, directory
from services.api.store.contact_lists import ListContent
from tests.integration.api.messages import contact_event, tell_of_contacts
from tests.support.builders import CONTACT, LIST, NOW, WORKSPACE

KEY = (WORKSPACE, CONTACT)


def envelope(**changes: Any) -> dict[str, Any]:
    return {"id": uuid4(), "time": NOW, "workspace_id": WORKSPACE, "contact_id": CONTACT, **changes}


def update(**changes: Any) -> UpdateContact:
    return UpdateContact.model_validate({**envelope(), "fields": {"city": "Rome"}, **changes})


def change_list(verb: str = "add_to", **changes: Any) -> ChangeListMembership:
    kind = f"contact.{verb}_list"
    return ChangeListMembership.model_validate(
        {**envelope(), "type": kind, "list_id": LIST, **changes}
    )


async def ask(pool: Pool, *commands: ContactCommand) -> list[Any]:
    """Let the handler have a batch; give what it publishes."""
    async with transaction(pool) as tx:
        said = await contact_commands.handle_batch(tx, [Received(one, 0) for one in commands])
    return [one.message for one in said]


async def follow(pool: Pool, *events: ContactEvent) -> None:
    await tell_of_contacts(pool, *(Received(one, 0) for one in events))


async def known(pool: Pool) -> Any:
    return (await directory.read_contacts(pool, [KEY]))[KEY].snapshot


def counted(outcome: str) -> float:
    labels = {"outcome": outcome}
    return REGISTRY.get_sample_value("millrace_contact_commands_total", labels) or 0.0


@pytest.fixture
async def home(api_pool: Pool) -> Pool:
    """A directory that knows one contact in Oslo, on no list, and one list."""
    event = contact_event("contact.created", {"fields": {"city": "Oslo"}})
    await tell_of_contacts(api_pool, event)
    async with transaction(api_pool) as tx:
        await contact_lists.name_list(tx, WORKSPACE, LIST, ListContent("People"), NOW)
    return api_pool


async def test_what_is_asked_is_answered_by_an_event_that_knows_its_depth(home: Pool) -> None:
    asked = update(custom_fields={"plan": None}, depth=4)
    (updated,) = await ask(home, asked)
    assert (updated.type, updated.id, updated.millracedepth) == (
        "contact.updated",
        str(asked.id),
        4,
    )
    assert updated.data.model_dump() == {
        "fields": {"city": "Rome"},
        "custom_fields": {"plan": None},
    }
    added, removed = await ask(home, change_list(depth=1), change_list("remove_from"))
    assert (added.type, added.data.list_id, added.millracedepth) == ("list.contact_added", LIST, 1)
    assert removed.type == "list.contact_removed"
    await follow(home, updated, added)
    assert ((await known(home)).fields["city"], (await known(home)).lists) == ("Rome", {LIST})


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_command_repeated_is_answered_once(home: Pool, in_one_batch: bool) -> None:
    asked = update()
    batches = [[asked, asked]] if in_one_batch else [[asked], [asked]]
    assert len([event for batch in batches for event in await ask(home, *batch)]) == 1


async def test_what_makes_no_difference_to_anyone_is_not_published(home: Pool) -> None:
    before = counted("unchanged")
    oslo = update(fields={"city": "Oslo", "state": ""}, differs=False)
    assert await ask(home, oslo, change_list("remove_from", differs=False)) == []
    assert counted("unchanged") == before + 2
    await follow(home, *await ask(home, change_list()))
    assert await ask(home, change_list(differs=False)) == []


async def test_what_differs_for_the_flow_is_published_though_the_directory_sees_none(
    home: Pool,
) -> None:
    """The directory may not have read the event yet that made the flow ask."""
    assert len(await ask(home, update(fields={"city": "Oslo"}, differs=True))) == 1


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_there_and_back_again_ends_back_again(home: Pool, in_one_batch: bool) -> None:
    """The second is no difference to what is known, because the first is still on its way."""
    there, back = update(), update(fields={"city": "Oslo"}, differs=False)
    batches = [[there, back]] if in_one_batch else [[there], [back]]
    events = [event for batch in batches for event in await ask(home, *batch)]
    assert len(events) == 2
    await follow(home, events[0])
    assert len(await ask(home, update(differs=False))) == 1, "the second is on its way still"
    await follow(home, *events[1:])
    assert (await known(home)).fields["city"] == "Oslo"


async def test_once_followed_nothing_is_held_of_what_was_published(home: Pool) -> None:
    events = [*await ask(home, update()), *await ask(home, change_list())]
    assert await home.fetchval("SELECT count(*) FROM published_change") == 1
    await follow(home, events[0])
    assert await home.fetchval("SELECT count(*) FROM published_change") == 1
    await follow(home, events[1])
    assert await home.fetchval("SELECT count(*) FROM published_change") == 0
    assert await ask(home, update(differs=False), change_list(differs=False)) == []


async def test_a_contact_that_is_gone_is_recorded_and_stays_gone(home: Pool) -> None:
    before = counted("contact_deleted")
    await tell_of_contacts(home, contact_event("contact.deleted", {}))
    assert await ask(home, update(), change_list()) == []
    assert counted("contact_deleted") == before + 2


async def test_a_contact_not_heard_of_yet_loses_no_change(home: Pool) -> None:
    before = counted("contact_unknown")
    other = UUID(int=99)
    events = await ask(home, update(contact_id=other), change_list(contact_id=other, differs=False))
    assert [event.type for event in events] == ["contact.updated", "list.contact_added"]
    assert counted("contact_unknown") == before + 2


async def test_a_list_that_does_not_exist_is_recorded_and_costs_nobody_else(home: Pool) -> None:
    before = counted("list_unknown")
    nowhere = change_list(list_id=UUID(int=98))
    elsewhere = change_list(workspace_id=UUID(int=97))
    assert [one.type for one in await ask(home, nowhere, elsewhere, update())] == [
        "contact.updated"
    ]
    assert counted("list_unknown") == before + 2
