"""Flows that cause one another, through the real handlers of all services that pass it on.

Events go to the matcher, what it says to the executor, what that asks to the directory, and what
the directory publishes is an event again. Kafka is left out; the databases are real.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.contracts.contact_commands import ChangeListMembership, UpdateContact
from libs.contracts.contact_events import ADAPTER, ContactEvent
from libs.contracts.flow_definitions import FlowDefined
from libs.contracts.membership_events import EnrollmentRefused, MembershipChanged
from libs.domain.flow import Flow
from services.api.handlers import contact_commands
from services.api.handlers import contact_events as directory_events
from services.api.store import directory
from services.trigger_matcher.handlers import contact_events, flow_definitions
from services.trigger_matcher.store.definitions import CurrentTriggers
from tests.support.builders import CONTACT, NOW, WORKSPACE, Json, a_flow
from tests.support.executor import Executor, of
from tests.support.migrated_databases import MigratedDatabases

LISTS = [UUID(int=300 + number) for number in range(20)]
CAMPAIGNS = 13
Executed = list[Any]


class House:
    """The services an event goes round through, each with its own database."""

    def __init__(self, matcher: Pool, executor: Executor, owner: Pool) -> None:
        self.matcher, self.executor, self.owner = matcher, executor, owner
        self.current, self.lists = CurrentTriggers(), set[Any]()

    async def define(self, *flows: Flow) -> None:
        for flow in flows:
            message = FlowDefined(id=uuid4(), time=NOW, workspace_id=WORKSPACE, flow=flow)
            async with transaction(self.matcher) as tx:
                await flow_definitions.handle_batch(tx, [Received(message, 0)], clock=Clock())
            await self.executor.define(flow)

    async def happens(self, kind: str, data: Json, most_rounds: int = 40) -> Executed:
        """Let an event go round until nothing follows from it any more."""
        event = {"id": str(uuid4()), "source": "/crm", "subject": str(CONTACT), "type": kind,
                 "time": NOW.isoformat(), "workspaceid": str(WORKSPACE), "data": data}  # fmt: skip
        events, said = [ADAPTER.validate_python(event)], Executed()
        for _ in range(most_rounds):
            if not events:
                return said
            done = await self._executor_does(events)
            said += done
            asked = [one for one in done if isinstance(one, UpdateContact | ChangeListMembership)]
            events = await self._owner_answers(asked)
        raise AssertionError("it goes round for ever")

    async def _executor_does(self, events: Sequence[ContactEvent]) -> Executed:
        batch = [Received(one, 0) for one in events]
        async with transaction(self.owner) as tx:
            await directory_events.handle_batch(tx, batch, known_lists=self.lists)
        async with transaction(self.matcher) as tx:
            told = await contact_events.handle_batch(tx, batch, current=self.current)
        return await self.executor.act(*(one.message for one in told))  # type: ignore[arg-type]

    async def _owner_answers(self, asked: Executed) -> list[ContactEvent]:
        async with transaction(self.owner) as tx:
            answers = await contact_commands.handle_batch(tx, [Received(one, 0) for one in asked])
        return [ADAPTER.validate_json(one.message.body()) for one in answers]


@pytest.fixture
async def house(migrated: MigratedDatabases) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        matcher, executor, owner = [
            await stack.enter_async_context(open_pool(migrated.copy_of(service)))
            for service in ("trigger_matcher", "step_executor", "api")
        ]
        async with transaction(owner) as tx:
            await directory.put_lists(tx, {(WORKSPACE, one): NOW for one in LISTS})
        made = House(matcher, await Executor.ready(executor), owner)
        await made.happens("contact.created", {"fields": {"email": "ada@example.com"}})
        yield made


def when_stage_is(number: int, becomes: int, flow: int) -> Flow:
    return a_flow(
        [{"step_id": "set", "type": "update_contact",
          "operations": [{"op": "set", "field": "stage", "value": f"s{becomes}"}]}],
        flow_id=UUID(int=flow), version=2,
        triggers=[{"type": "contact_updated", "field": "stage", "operator": "equals",
                   "value": f"S{number}"}],
    )  # fmt: skip


def when_on_list(number: int) -> Flow:
    step = {"step_id": "add", "type": "add_to_list", "list_ids": [str(LISTS[number + 1])]}
    trigger = {"type": "added_to_static_list", "list_id": str(LISTS[number])}
    return a_flow([step], flow_id=UUID(int=100 + number), version=2, triggers=[trigger])


def entered(said: Executed) -> list[int]:
    return [one.membership.flow_id.int for one in of(MembershipChanged, said)]


def refused(said: Executed) -> list[tuple[int, str]]:
    return [(one.flow_id.int, one.reason) for one in of(EnrollmentRefused, said)]


async def stage(house: House) -> Any:
    (row,) = await house.executor.pool.fetch("SELECT custom_fields FROM contact")
    found = await directory.read_contacts(house.owner, [(WORKSPACE, CONTACT)])
    assert found[WORKSPACE, CONTACT].snapshot.custom_fields == row["custom_fields"]
    return row["custom_fields"]["stage"]


async def test_a_chain_of_flows_is_cut_when_ten_have_led_to_the_next(house: House) -> None:
    await house.define(*(when_stage_is(one, one + 1, 100 + one) for one in range(CAMPAIGNS)))
    said = await house.happens("contact.updated", {"custom_fields": {"stage": "s0"}})
    assert entered(said) == list(range(100, 111)), "the first one was caused by nobody"
    assert refused(said) == [(111, "too_deep")]
    assert [one.depth for one in of(UpdateContact, said)] == list(range(1, 12))
    assert await stage(house) == "s11", "what was asked before the cut is done"
    fresh = await house.happens("contact.updated", {"custom_fields": {"stage": "s12"}})
    assert entered(fresh) == [112], "what somebody else does begins a new chain"


async def test_a_chain_over_lists_is_cut_alike(house: House) -> None:
    await house.define(*(when_on_list(one) for one in range(CAMPAIGNS)))
    said = await house.happens("list.contact_added", {"list_id": str(LISTS[0])})
    assert entered(said) == list(range(100, 111))
    assert refused(said) == [(111, "too_deep")]


async def test_two_flows_that_undo_one_another_come_to_rest(house: House) -> None:
    await house.define(when_stage_is(1, 2, 101), when_stage_is(2, 1, 102))
    said = await house.happens("contact.updated", {"custom_fields": {"stage": "s1"}})
    assert entered(said) == [101, 102] * 5 + [101]
    assert refused(said) == [(102, "too_deep")]
    assert await stage(house) == "s2"


async def test_a_flow_that_sets_what_is_so_already_causes_nothing(house: House) -> None:
    await house.define(when_stage_is(1, 1, 101))
    said = await house.happens("contact.updated", {"custom_fields": {"stage": "S1"}})
    assert entered(said) == [101, 101], "s1 is another text than S1, and equal to it in a rule"
    assert [one.differs for one in of(UpdateContact, said)] == [True, False]
    again = await house.happens("contact.updated", {"custom_fields": {"stage": "s1"}})
    assert (entered(again), refused(again)) == ([], []), "nothing really changes"
