"""Dynamic lists inside a flow's rules, through the executor's handlers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.step_commands import ApplyFlow
from libs.contracts.timer_commands import SetTimer
from libs.domain.flow import Flow
from tests.integration.step_executor.test_waits import stands
from tests.support.activity import ordered, recorded
from tests.support.builders import NOW, WORKSPACE, Json, a_flow
from tests.support.executor import Executor, created, enroll, of, timeline_of
from tests.support.waits import (
    GONE_QUIET,
    ROME,
    a_guard,
    a_waiting_flow,
    apply,
    field,
    fires,
    updated,
    waiting,
)

ROMANS, CITIZENS = UUID(int=51), UUID(int=52)
OSLO, LOST = field("city", "equals", "Oslo"), field("leadStatus", "equals", "lost")


def on_list(list_id: UUID, operator: str = "is_member") -> Json:
    return {"kind": "condition", "source": "list_membership", "list_id": str(list_id),
            "operator": operator}  # fmt: skip


def lists(romans: Json | None, citizens: Json | None = None) -> Json:
    """The rules of two lists; unless it is given others, the second asks about the first."""
    return {str(ROMANS): romans, str(CITIZENS): citizens or on_list(ROMANS)}


def until_citizen(version: int, segments: Json, **changes: Any) -> Flow:
    return a_waiting_flow(on_list(CITIZENS), version, segments=segments, **changes)


async def edits(executor: Executor, flow: Flow) -> list[Any]:
    """Let the executor have another version and bring its members in line; give what was said."""
    told = of(ApplyFlow, await executor.define(flow))
    assert told, "every partition is told"
    return await executor.act(apply(flow.version))


async def test_a_wait_is_judged_through_the_lists_it_asks_about(executor: Executor) -> None:
    await executor.define(until_citizen(2, lists(ROME)))
    await executor.act(created(city="Oslo"), enroll())
    assert await stands(executor) == ("until", "event")
    assert await executor.act(updated(company="x")) == []
    said = await executor.act(updated(city="Rome"))
    assert await stands(executor) == ("met", "timer")
    judged = timeline_of(said)[0].details["judged"]
    assert [one["saw"] for one in judged] == [True, True, "Rome"]


@pytest.mark.parametrize(
    ("romans", "city", "step"),
    [(ROME, "Rome", "yes"), (ROME, "Oslo", "no"), (None, "Rome", "neither")],
)
async def test_a_branch_goes_by_the_list(
    executor: Executor, romans: Json | None, city: str, step: str
) -> None:
    branch = {"step_id": "c", "type": "condition_check", "condition": on_list(CITIZENS),
              "edges": {"true": "yes", "false": "no", "default": "neither"}}  # fmt: skip
    ends = [{"step_id": one, "type": "wait", "duration_amount": 1, "duration_unit": "days"}
            for one in ("yes", "no", "neither")]  # fmt: skip
    await executor.define(a_flow([branch, *ends], version=2, segments=lists(romans)))
    await executor.act(created(city=city), enroll())
    assert await stands(executor) == (step, "timer")


async def test_a_list_that_only_time_changes_moves_who_waits_for_it(executor: Executor) -> None:
    await executor.define(until_citizen(2, lists(GONE_QUIET)))
    said = await executor.act(created(lastActivityAt=NOW.isoformat()), enroll())
    (timer,) = of(SetTimer, said)
    assert timer.due_at == NOW + timedelta(days=30)
    executor.clock.now_is = timer.due_at
    await executor.act(fires(timer))
    assert await stands(executor) == ("met", "timer")


async def test_what_a_list_asks_of_the_contact_s_activity_is_read(executor: Executor) -> None:
    flow = until_citizen(2, lists(ordered(count={"operator": "greater_than", "value": 1})))
    await executor.define(flow)
    await executor.act(created(), enroll())
    await executor.act(recorded())
    assert await stands(executor) == ("until", "event")
    await executor.act(recorded())
    assert await stands(executor) == ("met", "timer")


async def test_r16_an_edited_list_judges_standing_waits_anew(executor: Executor) -> None:
    await executor.define(until_citizen(2, lists(ROME)))
    await executor.act(created(city="Oslo"), enroll())
    await edits(executor, until_citizen(3, lists(OSLO)))
    assert await stands(executor) == ("met", "timer")


async def test_r16_who_waits_on_listens_to_what_the_edited_list_looks_at(
    executor: Executor,
) -> None:
    await executor.define(until_citizen(2, lists(ROME)))
    await executor.act(created(city="Oslo"), enroll())
    flow = until_citizen(3, lists(field("company", "equals", "Acme")))
    await edits(executor, flow)
    (row,) = await executor.live()
    assert tuple(row["listens"]) == flow.listens_at("until")
    assert await executor.act(updated(city="Rome")) == [], "the old rule counts no more"
    await executor.act(updated(company="Acme"))
    assert await stands(executor) == ("met", "timer")


async def test_r16_a_guard_drops_who_comes_on_its_list_by_an_edit_of_the_list(
    executor: Executor,
) -> None:
    """At a delivery, at a timer, at a condition; and who stays listens to the new rule."""
    people = [UUID(int=number) for number in range(301, 305)]
    guards: Json = {"guards": [a_guard(on_list(CITIZENS))]}
    timer = [{"step_id": "t", "type": "wait", "duration_amount": 1, "duration_unit": "days"}]
    steps = {"delivery": None, "timer": timer, "event": waiting(ROME), "stays": timer}

    def flow(at: int, version: int, segments: Json) -> Flow:
        whole = {"flow_id": UUID(int=40 + at), "version": version, "segments": segments, **guards}
        return a_flow(list(steps.values())[at], **whole)

    for at, person in enumerate(people):
        first = flow(at, 1, lists(ROME))
        await executor.define(first)
        fields = {} if at == len(people) - 1 else {"leadStatus": "lost"}
        await executor.act(created(person, WORKSPACE, first, **fields))
    assert len(await executor.live()) == len(people)
    for at in range(len(people)):
        await executor.define(flow(at, 2, lists(LOST)))
        await executor.act(apply(2).model_copy(update={"flow_id": UUID(int=40 + at)}))
    assert [row["contact_id"] for row in await executor.live()] == [people[-1]]
    assert {row["drop_reason"] for row in await executor.ended()} == {"disqualified"}
    await executor.act(updated(contact=people[-1], leadStatus="lost"))
    assert await executor.live() == []


async def test_a_version_with_the_same_lists_concerns_nobody(executor: Executor) -> None:
    await executor.define(until_citizen(2, lists(ROME)))
    assert await executor.define(until_citizen(3, lists(ROME))) == []
    assert of(ApplyFlow, await executor.define(until_citizen(4, lists(OSLO)))) != []
