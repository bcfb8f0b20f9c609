"""Steps that have a web page made, through the handlers: asked for, answered, overdue."""

from typing import Any

from libs.chassis.clock import Clock
from libs.contracts.membership_events import MembershipChanged, PageRequested
from libs.contracts.message import derived_id
from libs.contracts.step_commands import FinishPage, Remove
from libs.contracts.timer_commands import SetTimer
from libs.contracts.topics import MEMBERSHIP_EVENTS
from libs.domain.steps.create_tent import ANSWER_WITHIN
from services.step_executor.loops.watch_memberships import WatchMemberships
from tests.support.builders import FLOW, NOW, WELCOME, Json, a_flow
from tests.support.executor import Executor, created, enroll, envelope, of, timeline_of
from tests.support.waits import apply, fires

URL = "http://api/pages/w/ada"
PAGE: Json = {"step_id": "page", "type": "create_tent", "source": "template", "template_id": "tpl",
              "auto_publish": True, "alias": "{{contact.firstName}}"}  # fmt: skip
MAIL: Json = {"step_id": "mail", "type": "send_email", "email_id": str(WELCOME)}
STEPS = [{**PAGE, "edges": {"next": "mail"}}, MAIL]


async def asks(executor: Executor, steps: list[Json] = STEPS) -> tuple[PageRequested, SetTimer]:
    """Let the contact come to the step; give what is asked for, and its timer."""
    await executor.define(a_flow(steps, version=2))
    said = await executor.act(created(firstName="Ada"), enroll(dynamic_context={"plan": "pro"}))
    (asked,), (timer,) = of(PageRequested, said), of(SetTimer, said)
    return asked, timer


def made(asked: PageRequested, **changes: Any) -> FinishPage:
    whole = {"outcome": "published", "url": URL, **changes}
    return FinishPage(
        **envelope(), membership_id=asked.membership_id, hop=asked.hop, page_id=asked.id, **whole
    )


async def pause(executor: Executor) -> None:
    for command in await executor.define(a_flow(STEPS, version=3, status="paused")):
        await executor.act(command)


async def test_the_page_is_asked_for_once_the_membership_stands(executor: Executor) -> None:
    asked, timer = await asks(executor)
    (row,) = await executor.live()
    assert (row["status"], row["waiting_on"], row["hop"]) == ("active", "answer", asked.hop)
    assert asked.id == derived_id("page", row["membership_id"], row["hop"])
    assert (asked.template_id, asked.alias, asked.publish) == ("tpl", "ada", True)
    assert (asked.contact["firstName"], asked.run) == ("Ada", {"plan": "pro"})
    assert (timer.hop, timer.due_at) == (asked.hop, NOW + ANSWER_WITHIN)


async def test_r1_what_is_asked_for_fits_its_topic_whatever_the_contact_holds(
    executor: Executor,
) -> None:
    steps = [{**PAGE, "prompt": "{{contact.company}}" * 500, "name": "{{contact.company}}"}]
    await executor.define(a_flow(steps, version=2))
    fields: Any = {f"field{number}": "\x01" * 5000 for number in range(200)}
    context = {f"value{number}": "\x01" * 150 for number in range(100)}
    said = await executor.act(
        created(company="\x01" * 5000, **fields), enroll(dynamic_context=context)
    )
    (asked,) = of(PageRequested, said)
    assert len(asked.body()) < MEMBERSHIP_EVENTS.max_message_bytes


async def test_the_answer_moves_it_on_and_the_next_mail_knows_the_address(
    executor: Executor,
) -> None:
    asked, _ = await asks(executor)
    said = await executor.act(made(asked, warnings=["alias_taken"]))
    (changed,) = of(MembershipChanged, said)
    context = {"plan": "pro", "tentURL": URL}
    assert changed.membership.dynamic_context == context
    entry = timeline_of(said)[0]
    assert (entry.kind, entry.details["warnings"]) == ("page_made", ["alias_taken"])
    (row,), (mail,) = await executor.live(), await executor.deliveries()
    assert row["dynamic_context"] == mail["dynamic_context"] == context
    assert row["waiting_on"] == "delivery"


async def test_the_end_of_the_run_keeps_the_address_as_well(executor: Executor) -> None:
    asked, _ = await asks(executor, [PAGE])
    await executor.act(made(asked))
    (row,) = await executor.ended()
    assert row["dynamic_context"] == {"plan": "pro", "tentURL": URL}


async def test_an_answer_counts_once_and_only_where_it_was_asked_for(executor: Executor) -> None:
    asked, _ = await asks(executor)
    late = made(asked).model_copy(update={"hop": asked.hop + 1})
    assert await executor.act(late) == []
    assert await executor.act(made(asked)) != []
    assert await executor.act(made(asked)) == []
    (row,) = await executor.live()
    assert row["dynamic_context"] == {"plan": "pro", "tentURL": URL}


async def test_a_failure_is_told_and_goes_on(executor: Executor) -> None:
    asked, _ = await asks(executor)
    said = await executor.act(made(asked, outcome="failed", url=None, reason="template_not_found"))
    entry = timeline_of(said)[0]
    assert (entry.kind, entry.details) == ("step_failed", {"reason": "template_not_found"})
    (row,) = await executor.live()
    assert (row["step_id"], row["dynamic_context"]) == ("mail", {"plan": "pro"})


async def test_no_answer_in_time_is_a_failure_and_a_late_one_is_void(executor: Executor) -> None:
    asked, timer = await asks(executor)
    executor.clock.now_is = timer.due_at
    said = await executor.act(fires(timer))
    assert timeline_of(said)[0].details == {"reason": "no_answer"}
    (row,) = await executor.live()
    assert row["step_id"] == "mail"
    assert await executor.act(made(asked)) == []


async def test_a_pause_parks_the_answer_until_the_flow_goes_on(executor: Executor) -> None:
    asked, _ = await asks(executor)
    await pause(executor)
    assert await executor.act(made(asked)) == []
    (row,) = await executor.live()
    assert (row["waiting_on"], row["step_id"]) == ("reactivation", "page")
    await executor.define(a_flow(STEPS, version=4))
    await executor.act(apply(4))
    (row,) = await executor.live()
    assert (row["waiting_on"], row["step_id"]) == ("delivery", "mail")
    assert row["dynamic_context"]["tentURL"] == URL


async def test_an_answer_in_a_pause_counts_though_its_time_is_over(executor: Executor) -> None:
    asked, timer = await asks(executor)
    await pause(executor)
    executor.clock.now_is = timer.due_at
    await executor.act(fires(timer))
    await executor.act(made(asked))
    await executor.define(a_flow(STEPS, version=4))
    await executor.act(apply(4))
    (row,) = await executor.live()
    assert row["dynamic_context"]["tentURL"] == URL


async def test_a_run_that_was_ended_takes_no_answer(executor: Executor) -> None:
    asked, _ = await asks(executor)
    await executor.act(Remove(**envelope(), flow_id=FLOW, min_flow_version=2))
    assert await executor.act(made(asked)) == []
    (row,) = await executor.ended()
    assert row["dynamic_context"] == {"plan": "pro"}


async def test_an_answer_long_overdue_is_counted_as_stuck(executor: Executor) -> None:
    await asks(executor)
    watching = WatchMemberships(executor.pool, Clock(1.0, None))
    await executor.pool.execute("UPDATE membership SET waiting_until = now() + interval '1 hour'")
    await watching.look()
    assert watching.count == 0
    await executor.pool.execute("UPDATE membership SET waiting_until = now() - interval '1 hour'")
    await watching.look()
    assert watching.count == 1
