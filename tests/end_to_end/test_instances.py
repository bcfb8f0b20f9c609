"""Several instances of every service come, stop and die while mails go out.

What is counted here are hand-overs to the mail server, repeats included: the sink's raw count.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from libs.chassis.postgres.pool import open_pool, transaction
from libs.local.outside import Outside
from libs.local.stack import Stack
from services.api.store import keys
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real_broker
JOURNEYS = int(os.environ.get("MILLRACE_TEST_INSTANCE_JOURNEYS", "2000"))
RECIPIENTS = int(os.environ.get("MILLRACE_TEST_LARGE_MAIL_RECIPIENTS", "400"))
LARGE = "<p>" + "x" * 1_900_000 + "</p>"
SERVICES = ("api", "trigger_matcher", "step_executor", "scheduler")
SECOND = {service: f"{service}_2" for service in SERVICES}


@pytest.fixture
def two_of_each(stack: Stack) -> Iterator[Stack]:
    for service, name in SECOND.items():
        stack.add_service(name, service)
    for name in SECOND.values():
        stack.wait_ready(name)
    yield stack
    for name in SECOND.values():
        stack.services.pop(name).stop()
    for name in SERVICES:
        if stack.services[name].running.poll() is not None:
            stack.restart(name)


def so_far(stack: Stack) -> int:
    counted: dict[str, int] = httpx.get(f"{stack.mail_sink_url}/count", timeout=30).json()
    return counted["handed_over"]


def ask(stack: Stack, service: str, statement: str) -> Any:
    """Ask a service's database for one value."""

    async def asking() -> Any:
        connection = await asyncpg.connect(stack.postgres.url(service))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(asking())


def while_mails_go_out(stack: Stack, scene: Scene, *acts: Callable[[], object]) -> None:
    """Let everyone enter, and do one thing after another while the mails go out."""
    before = so_far(stack)
    for number in range(JOURNEYS):
        scene.enter(number)
    scene.outside.flush()
    for turn, act in enumerate(acts, 1):
        due = before + turn * JOURNEYS // (len(acts) + 1)
        wait_until(lambda due=due: so_far(stack) >= due, f"{due} mails", 120)  # type: ignore[misc]
        act()
    scene.wait_for(completed_count=JOURNEYS)


def test_with_sigterm_alone_not_one_mail_is_handed_over_twice(
    outside: Outside, two_of_each: Stack
) -> None:
    stack, scene = two_of_each, Scene(outside).activate()
    services = stack.services
    while_mails_go_out(
        stack,
        scene,
        services["step_executor"].terminate,
        lambda: stack.restart("step_executor"),
        services["step_executor_2"].terminate,
        services["trigger_matcher"].terminate,
        lambda: stack.restart("step_executor_2"),
        lambda: stack.restart("trigger_matcher"),
        services["scheduler_2"].terminate,
    )
    got = scene.hand_overs()
    assert got == {scene.address(number): 1 for number in range(JOURNEYS)}


def test_killed_instances_repeat_no_more_than_is_counted(
    outside: Outside, two_of_each: Stack
) -> None:
    counted = "SELECT coalesce(sum(takeovers + ambiguous), 0) FROM ended_delivery"
    stack, scene = two_of_each, Scene(outside).activate()
    before = ask(stack, "step_executor", counted)
    while_mails_go_out(
        stack,
        scene,
        stack.services["step_executor"].kill,
        lambda: stack.restart("step_executor"),
        stack.services["step_executor_2"].kill,
        stack.services["trigger_matcher_2"].kill,
        lambda: stack.restart("step_executor_2"),
    )
    got = scene.hand_overs()
    ambiguous = ask(stack, "step_executor", counted) - before
    assert got.keys() == {scene.address(number) for number in range(JOURNEYS)}
    repeats = got.total() - JOURNEYS
    sys.stdout.write(
        f"handed over {got.total()}: {JOURNEYS} mails, {repeats} repeats, {ambiguous} ambiguous\n"
    )
    assert repeats <= ambiguous
    assert ask(stack, "step_executor", "SELECT count(*) FROM delivery") == 0


def another_workspace(stack: Stack) -> Outside:
    """Open a second workspace, as an operator does."""
    key, workspace_id = f"millrace_{uuid4().hex}{uuid4().hex}", uuid4()

    async def opening(workspace: UUID) -> None:
        async with open_pool(stack.postgres.url("api")) as pool, transaction(pool) as tx:
            await keys.put(tx, key, workspace)

    asyncio.run(opening(workspace_id))
    return Outside(stack, key, str(workspace_id))


def test_a_huge_mail_to_many_does_not_delay_a_small_one_of_another_workspace(
    outside: Outside, stack: Stack
) -> None:
    huge = Scene(outside, html=LARGE).activate()
    with another_workspace(stack) as other:
        small = Scene(other).activate()
        for number in range(RECIPIENTS):
            huge.enter(number)
        outside.flush()
        wait_until(lambda: huge.counted() > 0, "the first of the huge mails", 60)
        small.enter(0)
        other.flush()
        wait_until(lambda: small.counted() == 1, "the small mail", 60)
        assert huge.counted() < RECIPIENTS, "it did not wait for the huge ones"
    huge.wait_for(completed_count=RECIPIENTS)
    httpx.delete(stack.mail_sink_url).raise_for_status()
