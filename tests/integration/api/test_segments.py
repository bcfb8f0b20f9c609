"""Flows that ask about dynamic lists: what they are published with, and when they are anew."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import REGISTRY

from libs.chassis.exactly_once.outbox import OutboxRecord, Publishable
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.flow_definitions import FlowDefined
from libs.domain.flow import Flow
from libs.domain.rules import ContactField, Group
from services.api.loops.republish_flows import republish_flows
from services.api.native.dialect import NATIVE
from services.api.store import contact_lists as lists
from services.api.use_cases import flows as use_case
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contact_lists import rules_of
from services.api.use_cases.dialects import FlowKey
from services.api.use_cases.publishing import publish
from services.api.use_cases.republishing import republish_due, republish_some
from tests.integration.api.conftest import Mirror
from tests.integration.api.directory_calls import Json, new_field, new_list, told
from tests.integration.api.test_contact_lists import city_is, dynamic, group, on_list
from tests.integration.api.test_engine_flows import create_here
from tests.integration.api.test_routes import create
from tests.support.builders import WORKSPACE
from tests.support.waiting import eventually

PAUSE: Json = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "days"}


def published(mirror: Mirror, flow_id: str) -> Flow:
    """Give the newest definition of a flow that the services have been told."""
    told = [one.flow for one in mirror.said if isinstance(one, FlowDefined)]
    return max((one for one in told if str(one.flow_id) == flow_id), key=lambda one: one.version)


def city_of(flow: Flow, list_id: str) -> object:
    """Say which city a list asks for, as the services know it."""
    rule = flow.segments[UUID(list_id)]
    assert isinstance(rule, ContactField)
    return rule.value


async def a_flow(api: httpx.AsyncClient, *steps: Json, active: bool = True, **more: Any) -> str:
    flow_id = str((await create(api, steps=list(steps), **more))["flow_id"])
    if active:
        await told(api.post(f"/v1/email-flows/{flow_id}/activate"))
    return flow_id


def checks(condition: Json, step_id: str = "c") -> Json:
    return {"step_id": step_id, "type": "condition_check", "condition": condition}


async def missing(api: httpx.AsyncClient, flow_id: str) -> list[str]:
    answer = await api.post(f"/v1/email-flows/{flow_id}/activate")
    assert answer.status_code == 400, answer.text
    found: list[str] = answer.json()["details"]["activation_readiness"]["missing"]
    return found


async def edit(api: httpx.AsyncClient, list_id: str, rules: Json) -> None:
    await told(api.patch(f"/v1/lists/{list_id}", json={"rules": rules}))


async def depends_on(pool: Pool, flow_id: str) -> set[str]:
    rows = await pool.fetch(
        "SELECT needs_id FROM flow_dependency WHERE flow_id = $1", UUID(flow_id)
    )
    return {str(row["needs_id"]) for row in rows}


async def changes_left(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM dependency_change"))


async def test_a_flow_is_published_with_the_rules_of_the_lists_it_asks_about(
    api: httpx.AsyncClient, api_pool: Pool, mirror: Mirror
) -> None:
    field = await new_field(api, "plan", "text")
    pro = {
        "kind": "condition", "source": "custom_field", "operator": "eq", "value": "pro",
        "fieldDefinitionId": field["custom_field_id"],
    }  # fmt: skip
    static = await new_list(api)
    romans, pros = await dynamic(api, city_is("Rome")), await dynamic(api, group(pro))
    both = await dynamic(api, group(on_list(romans), on_list(pros), on_list(static)))
    unused = await dynamic(api, city_is("Oslo"))
    wait = {"step_id": "u", "type": "wait", "condition": on_list(both)}
    flow_id = await a_flow(
        api, checks(on_list(romans)), wait, disqualification_rules=on_list(pros, "not_in_list")
    )
    flow = published(mirror, flow_id)
    assert {str(one) for one in flow.segments} == {romans, pros, both}
    assert {str(one) for one in flow.custom_fields} == {field["custom_field_id"]}
    assert isinstance(flow.segments[UUID(both)], Group)
    needed = {romans, pros, both, static, field["custom_field_id"]}
    assert await depends_on(api_pool, flow_id) == needed
    assert unused not in needed


async def test_a_flow_in_the_engine_s_language_may_ask_too(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    romans = await dynamic(api, city_is("Rome"))
    asked = {
        "kind": "condition", "source": "list_membership", "list_id": romans,
        "operator": "is_member",
    }  # fmt: skip
    made = await create_here(api, steps=[checks(asked)], guards=[{"rule": asked, "wants": False}])
    path = f"/v1/flows/{made['flow_id']}"
    assert (await told(api.post(f"{path}/validate")))["missing"] == []
    await told(api.post(f"{path}/activate"))
    assert city_of(published(mirror, made["flow_id"]), romans) == "Rome"
    shown = await told(api.get(path))
    assert "segments" not in shown


async def test_a_flow_that_asks_for_nothing_carries_nothing(
    api: httpx.AsyncClient, api_pool: Pool, mirror: Mirror
) -> None:
    flow_id = await a_flow(api, PAUSE)
    assert b"segments" not in next(one for one in mirror.said if flow_id in one.key).body()
    assert await depends_on(api_pool, flow_id) == set()


async def test_what_is_not_there_is_named_by_its_place(api: httpx.AsyncClient) -> None:
    romans = await dynamic(api, city_is("Rome"))
    unknown = str(uuid4())
    flow_id = await a_flow(
        api, checks(on_list(unknown)), {"step_id": "a", "type": "add_to_list", "list_id": romans},
        active=False, triggers=[{"type": "added_to_static_list", "list_id": romans}],
        disqualification_rules=group(on_list(unknown), on_list(romans)),
    )  # fmt: skip
    assert await missing(api, flow_id) == [
        "triggers.0.list_id", "disqualification_rules", "flow_nodes.0.condition",
        "flow_nodes.1.list_id",
    ]  # fmt: skip


async def test_a_field_that_only_a_list_asks_for_must_be_active_too(
    api: httpx.AsyncClient,
) -> None:
    field = await new_field(api, "plan", "text")
    path = f"/v1/custom-fields/{field['custom_field_id']}"
    rules = {
        "kind": "condition", "source": "custom_field", "operator": "is_empty",
        "fieldDefinitionId": field["custom_field_id"],
    }  # fmt: skip
    flow_id = await a_flow(api, checks(on_list(await dynamic(api, rules))), active=False)
    await told(api.patch(path, json={"active": False}))
    assert await missing(api, flow_id) == ["flow_nodes.0.condition"]
    await told(api.patch(path, json={"active": True}))
    await told(api.post(f"/v1/email-flows/{flow_id}/activate"))


async def test_lists_that_are_too_large_to_go_with_a_flow_are_named(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror
) -> None:
    large = [await dynamic(api, group(*[city_is("Rome")] * 99)) for _ in range(10)]
    steps = [checks(on_list(one), f"c{at}") for at, one in enumerate(large)]
    flow_id = await a_flow(api, *steps)
    assert None not in published(mirror, flow_id).segments.values()
    small = await dynamic(api, city_is("Oslo"))
    too_large = await a_flow(api, *steps, checks(on_list(small)), active=False)
    (place,) = await missing(api, too_large)
    assert place.startswith("flow_nodes.")
    await edit(api, large[0], group(*[city_is("Rome")] * 98, on_list(small)))
    await republish_due(context)
    assert list(published(mirror, flow_id).segments.values()).count(None) == 1


async def test_who_depends_on_an_edited_list_is_published_anew(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    romans = await dynamic(api, city_is("Rome"))
    through = await dynamic(api, on_list(romans))
    other = await dynamic(api, city_is("Oslo"))
    directly, indirectly, not_at_all = [
        await a_flow(api, checks(on_list(one))) for one in (romans, through, other)
    ]
    await republish_due(context)
    before = [published(mirror, one).version for one in (directly, indirectly, not_at_all)]
    shown = await told(api.get(f"/v1/email-flows/{directly}"))
    await edit(api, romans, city_is("Bern"))
    await republish_due(context)
    after = [published(mirror, one) for one in (directly, indirectly, not_at_all)]
    assert [one.version for one in after] == [before[0] + 1, before[1] + 1, before[2]]
    assert [city_of(one, romans) for one in after[:2]] == ["Bern", "Bern"]
    assert await changes_left(api_pool) == 0
    assert await told(api.get(f"/v1/email-flows/{directly}")) == shown, "its author changed nothing"


async def test_a_list_that_asks_about_another_one_from_now_on_brings_it_along(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror
) -> None:
    romans, outer = await dynamic(api, city_is("Rome")), await dynamic(api, city_is("Oslo"))
    flow_id = await a_flow(api, checks(on_list(outer)))
    await edit(api, outer, on_list(romans))
    await edit(api, romans, city_is("Bern"))
    await republish_due(context)
    assert city_of(published(mirror, flow_id), romans) == "Bern"
    await edit(api, romans, city_is("Bonn"))
    await republish_due(context)
    assert city_of(published(mirror, flow_id), romans) == "Bonn"


async def test_a_list_that_comes_to_be_after_the_rule_that_asks_about_it(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror
) -> None:
    """An active flow's guards may name what does not exist yet."""
    flow_id, own = await a_flow(api, PAUSE), str(uuid4())
    await told(
        api.patch(f"/v1/email-flows/{flow_id}", json={"disqualification_rules": on_list(own)})
    )
    assert published(mirror, flow_id).segments == {}
    await dynamic(api, city_is("Rome"), list_id=own)
    await republish_due(context)
    assert city_of(published(mirror, flow_id), own) == "Rome"


async def test_a_field_that_is_active_no_more_reaches_who_looks_at_it(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror
) -> None:
    field = await new_field(api, "plan", "text")
    path = f"/v1/custom-fields/{field['custom_field_id']}"
    rules = {
        "kind": "condition", "source": "custom_field", "operator": "eq", "value": "pro",
        "fieldDefinitionId": field["custom_field_id"],
    }  # fmt: skip
    trigger = {"type": "contact_updated", "field": "plan", "operator": "changed"}
    ids = [
        await a_flow(api, checks(rules)),
        await a_flow(api, checks(on_list(await dynamic(api, rules)))),
        await a_flow(api, PAUSE, triggers=[trigger]),
    ]
    for active, fields in ((False, 0), (True, 1)):
        await told(api.patch(path, json={"active": active}))
        await republish_due(context)
        assert [len(published(mirror, one).custom_fields) for one in ids] == [fields] * 3
    versions = [published(mirror, one).version for one in ids]
    await told(api.patch(path, json={"name": "The plan"}))
    await republish_due(context)
    assert [published(mirror, one).version for one in ids] == versions


async def test_a_paused_flow_is_published_anew_unless_it_was_edited(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror
) -> None:
    romans = await dynamic(api, city_is("Rome"))
    kept, edited = [await a_flow(api, checks(on_list(romans))) for _ in range(2)]
    for one in (kept, edited):
        await told(api.post(f"/v1/email-flows/{one}/pause"))
    steps = [checks(on_list(romans)), PAUSE]
    await told(api.patch(f"/v1/email-flows/{edited}", json={"steps": steps}))
    await edit(api, romans, city_is("Bern"))
    await republish_due(context)
    assert city_of(published(mirror, kept), romans) == "Bern"
    assert len(published(mirror, edited).steps) == 1, (
        "what was written in a pause waits for its end"
    )
    await told(api.post(f"/v1/email-flows/{edited}/activate"))
    assert city_of(published(mirror, edited), romans) == "Bern"
    assert len(published(mirror, edited).steps) == 2


async def test_a_flow_that_is_over_depends_on_nothing(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    romans = await dynamic(api, city_is("Rome"))
    flow_id = await a_flow(api, checks(on_list(romans)))
    for act in ("pause", "archive"):
        await told(api.post(f"/v1/email-flows/{flow_id}/{act}"))
    assert await depends_on(api_pool, flow_id) == set()
    version = published(mirror, flow_id).version
    await edit(api, romans, city_is("Bern"))
    await republish_due(context)
    assert published(mirror, flow_id).version == version


async def is_kept_waiting(pool: Pool) -> bool:
    """Say whether somebody waits for a lock in this database."""
    here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    asked = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND database = {here}"  # noqa: S608  (constant)
    return bool(await pool.fetchval(asked))


async def blocked_or_done(pool: Pool, task: "asyncio.Task[Any]") -> None:
    async def seen() -> bool:
        return task.done() or await is_kept_waiting(pool)

    await eventually(seen, "it waits for a lock or is through")


async def test_r16_a_list_edited_while_a_flow_is_compiled_is_not_lost(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    """The flow reads the list; the list is edited and everyone told; only then the flow commits."""
    romans = await dynamic(api, city_is("Rome"))
    flow_id = await a_flow(api, checks(on_list(romans)), active=False)
    await republish_due(context)
    key = FlowKey(WORKSPACE, UUID(flow_id), NATIVE)
    async with context.relay.unit() as unit:
        flow = await use_case.lock(unit, key)
        await publish(unit, flow, context.clock.now())
        editing = asyncio.create_task(edit(api, romans, city_is("Bern")))
        await blocked_or_done(api_pool, editing)
        await republish_due(context)
    assert city_of(published(mirror, flow_id), romans) == "Rome"
    await editing
    await api_pool.execute("UPDATE flow SET status = 'active', published_version = version")
    await republish_due(context)
    assert city_of(published(mirror, flow_id), romans) == "Bern"


async def test_r16_a_flow_activated_while_a_list_is_edited_is_compiled_with_the_edit(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    """The list is written but not committed; the flow is activated; nobody publishes anew."""
    romans = await dynamic(api, city_is("Rome"))
    flow_id = await a_flow(api, checks(on_list(romans)), active=False)
    async with transaction(api_pool) as tx:
        await lists.hold(tx, WORKSPACE)
        known = (await lists.read(tx, WORKSPACE, [UUID(romans)]))[UUID(romans)]
        content = lists.ListContent(known.name, None, {**city_is("Bern"), "operator": "equals"}, {})
        await lists.change(tx, WORKSPACE, UUID(romans), content, context.clock.now())
        activating = asyncio.create_task(told(api.post(f"/v1/email-flows/{flow_id}/activate")))
        await blocked_or_done(api_pool, activating)
    await activating
    assert city_of(published(mirror, flow_id), romans) == "Bern"


async def test_r16_a_field_deactivated_while_a_flow_is_compiled_is_not_lost(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    field = await new_field(api, "plan", "text")
    path = f"/v1/custom-fields/{field['custom_field_id']}"
    rules = {
        "kind": "condition", "source": "custom_field", "operator": "is_empty",
        "fieldDefinitionId": field["custom_field_id"],
    }  # fmt: skip
    flow_id = await a_flow(api, checks(rules), active=False)
    async with context.relay.unit() as unit:
        flow = await use_case.lock(unit, FlowKey(WORKSPACE, UUID(flow_id), NATIVE))
        await publish(unit, flow, context.clock.now())
        changing = asyncio.create_task(told(api.patch(path, json={"active": False})))
        await blocked_or_done(api_pool, changing)
        await republish_due(context)
    await changing
    await api_pool.execute("UPDATE flow SET status = 'active', published_version = version")
    await republish_due(context)
    assert published(mirror, flow_id).custom_fields == {}


@pytest.mark.parametrize("seed", range(2))
async def test_r16_whoever_comes_first_all_end_with_the_lists_as_they_are(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror, seed: int
) -> None:
    """Lists and flows are edited at once, while two processes publish anew what depends on them."""
    chance = Random(seed)  # noqa: S311  (a test)
    low, other = await dynamic(api, city_is("Rome")), await dynamic(api, city_is("Oslo"))
    high = await dynamic(api, on_list(low))
    flow_ids = [await a_flow(api, checks(on_list(high))) for _ in range(3)]
    at_work = 2

    async def edit_lists() -> None:
        nonlocal at_work
        for number in range(8):
            list_id = chance.choice([low, other, high])
            below = [on_list(chance.choice([low, other]))] if list_id == high else []
            await edit(api, list_id, group(city_is(f"City {number}"), *below))
        at_work -= 1

    async def edit_flows() -> None:
        nonlocal at_work
        for _ in range(8):
            path = f"/v1/email-flows/{chance.choice(flow_ids)}"
            rules = on_list(chance.choice([low, other, high]))
            await told(api.patch(path, json={"disqualification_rules": rules}))
        at_work -= 1

    async def publish_anew() -> None:
        while at_work:
            await republish_some(context, at_most=2)

    await asyncio.gather(edit_lists(), edit_flows(), publish_anew(), publish_anew())
    await republish_due(context)
    for flow_id in flow_ids:
        flow = published(mirror, flow_id)
        assert flow.segments == await rules_of(context.pool, WORKSPACE, flow.names({}).lists)


class Died(BaseException):
    """The end of a process."""


class Dying(Mirror):
    """A publisher whose process dies in the middle of what it is about to say."""

    lives = 3

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        self.lives -= 1
        if self.lives < 0:
            raise Died
        return super().outbox_record(source, message)


async def test_a_process_that_dies_while_it_publishes_anew_forgets_nobody(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    async def version(flow_id: str) -> int:
        asked = "SELECT version FROM flow WHERE flow_id = $1"
        return int(await api_pool.fetchval(asked, UUID(flow_id)))

    romans = await dynamic(api, city_is("Rome"))
    ids = sorted([await a_flow(api, checks(on_list(romans))) for _ in range(5)])
    await republish_due(context)
    await edit(api, romans, city_is("Bern"))
    before = {one: await version(one) for one in ids}
    dying = cast("Publisher", Dying(api_pool, mirror.said))
    one_that_dies = replace(context, relay=Relay("api", api_pool, dying), publisher=dying)
    assert await republish_some(one_that_dies, at_most=2)
    with pytest.raises(Died):
        await republish_some(one_that_dies, at_most=2)
    assert [await version(one) - before[one] for one in ids] == [1, 1, 0, 0, 0]
    assert await changes_left(api_pool) == 1
    await republish_due(context)
    assert [await version(one) - before[one] for one in ids] == [1, 1, 1, 1, 1]
    assert {city_of(published(mirror, one), romans) for one in ids} == {"Bern"}
    assert await changes_left(api_pool) == 0


async def test_changes_take_turns_and_pages_are_small(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    """One list with many flows does not keep another one's waiting until all of them are done."""
    popular, rare = await dynamic(api, city_is("Rome")), await dynamic(api, city_is("Oslo"))
    for _ in range(6):
        await a_flow(api, checks(on_list(popular)))
    alone = await a_flow(api, checks(on_list(rare)))
    await republish_due(context)
    await edit(api, popular, city_is("Bern"))
    await edit(api, rare, city_is("Bonn"))
    mirror.said.clear()
    for _ in range(2):
        assert await republish_some(context, at_most=2)
    assert city_of(published(mirror, alone), rare) == "Bonn"
    assert len(mirror.said) == 3
    assert await changes_left(api_pool) == 1


async def test_a_flow_that_cannot_be_published_keeps_nobody_from_it_and_is_counted(
    api: httpx.AsyncClient, api_pool: Pool, context: AppContext, mirror: Mirror
) -> None:
    romans = await dynamic(api, city_is("Rome"))
    ids = sorted([await a_flow(api, checks(on_list(romans))) for _ in range(5)])
    await republish_due(context)
    broken = ids[2]
    await api_pool.execute(
        "UPDATE flow SET definition = definition || '{\"reentry\": 7}' WHERE flow_id = $1",
        UUID(broken),
    )
    before = REGISTRY.get_sample_value("millrace_flows_not_republished_total") or 0
    await edit(api, romans, city_is("Bern"))
    while await republish_some(context, at_most=2):
        pass
    cities = [city_of(published(mirror, one), romans) for one in ids]
    assert cities == ["Bern", "Bern", "Rome", "Bern", "Bern"]
    assert REGISTRY.get_sample_value("millrace_flows_not_republished_total") == before + 1
    assert await changes_left(api_pool) == 0


async def test_dependants_are_found_by_an_index(api: httpx.AsyncClient, api_pool: Pool) -> None:
    romans = await dynamic(api, city_is("Rome"))
    await a_flow(api, checks(on_list(romans)))
    async with transaction(api_pool) as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = await tx.fetch(
            "EXPLAIN SELECT flow_id FROM flow_dependency WHERE workspace_id = $1 AND needs_id = $2 "
            "ORDER BY flow_id LIMIT 25",
            WORKSPACE,
            UUID(romans),
        )
    assert "Index Only Scan using flow_dependency_pkey" in plan[1][0]


async def test_the_loop_publishes_at_once_what_this_process_has_changed(
    api: httpx.AsyncClient, context: AppContext, mirror: Mirror
) -> None:
    romans = await dynamic(api, city_is("Rome"))
    flow_id = await a_flow(api, checks(on_list(romans)))
    stopping = asyncio.Event()
    loop = asyncio.create_task(republish_flows(context, stopping))
    await edit(api, romans, city_is("Bern"))
    await eventually(lambda: city_of(published(mirror, flow_id), romans) == "Bern", "it is told")
    stopping.set()
    await asyncio.wait_for(loop, 4)
