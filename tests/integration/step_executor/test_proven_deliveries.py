"""What recipients do with a mail proves that it was sent, whether or not its sender said so."""

from typing import Any
from uuid import UUID

import pytest

from libs.chassis.postgres.pool import transaction
from libs.contracts.contact_events import EmailEvent
from libs.contracts.step_commands import Observe
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import DeliveryKey, GivenBack, Lane, Result
from tests.integration.step_executor.test_step_commands import LEASE, finish
from tests.support.builders import CONTACT, WELCOME, WELCOME_STEPS, WORKSPACE, Json, a_flow
from tests.support.executor import Executor, cloud, created, enroll, observed, timeline_of
from tests.support.waits import mail

DAY: Json = {"type": "wait", "duration_amount": 1, "duration_unit": "days"}
SEND: Json = WELCOME_STEPS[0]
PROVING = ["delivered", "opened", "clicked", "unsubscribed"]


def after_the_mail(metric: str) -> list[Json]:
    """Send, then look what became of it at once."""
    return [
        {**SEND, "edges": {"next": "check"}},
        {"step_id": "check", "type": "condition_check", "condition": mail(metric),
         "edges": {"true": "yes", "false": "no"}},
        {**DAY, "step_id": "yes"}, {**DAY, "step_id": "no"},
    ]  # fmt: skip


async def stands(executor: Executor) -> tuple[str, str]:
    (row,) = await executor.live()
    return row["step_id"], row["waiting_on"]


def our_id(key: DeliveryKey) -> str:
    return f"<{key.membership_id}.{key.hop}@example.com>"


def happened(key: DeliveryKey, metric: str = "opened", **data: Any) -> Observe:
    whole = {"email_id": WELCOME, "membership_id": key.membership_id, **data}
    return observed(
        EmailEvent.model_validate({**cloud(), "type": f"email.{metric}", "data": whole})
    )


async def claimed(executor: Executor, metric: str = "opened") -> DeliveryKey:
    """Let the contact in, and a sender begin to hand its mail over."""
    await executor.define(a_flow(after_the_mail(metric), version=2))
    key = await executor.mailing()
    await claim(executor)
    assert await executor.statuses() == ["claimed"]
    return key


async def claim(executor: Executor) -> None:
    async with transaction(executor.pool) as tx:
        await tx.execute("INSERT INTO sender VALUES ($1, 8) ON CONFLICT DO NOTHING", LEASE)
        await deliveries.claim(tx, LEASE, [Lane(WORKSPACE)], 100)


@pytest.mark.parametrize("metric", PROVING)
async def test_r12_an_engagement_settles_its_delivery_as_sent(
    executor: Executor, metric: str
) -> None:
    """The sender has died between the end of the mail and its record: nobody sends it again."""
    key = await claimed(executor, metric)
    said = await executor.act(happened(key, metric, step_id="send-welcome", message_id=our_id(key)))
    assert await executor.deliveries() == []
    assert [row["outcome"] for row in await executor.ended_deliveries()] == ["sent"]
    assert await stands(executor) == ("yes", "timer"), "what comes behind the mail sees it"
    kinds = [one.kind for one in timeline_of(said)]
    assert kinds == [f"email_{metric}", "email_sent", "step_executed", "step_executed", "waiting"]


@pytest.mark.parametrize("named", ["message_id", "step_id"])
async def test_r12_a_mail_is_known_by_its_message_id_or_its_step(
    executor: Executor, named: str
) -> None:
    key = await claimed(executor, "sent")
    by = {"message_id": our_id(key), "step_id": "send-welcome"}
    await executor.act(happened(key, **{named: by[named]}))
    assert await stands(executor) == ("yes", "timer")


async def test_r12_what_the_sender_says_later_changes_nothing(executor: Executor) -> None:
    key = await claimed(executor)
    await executor.act(happened(key, step_id="send-welcome"))
    before = await executor.live()
    assert await finish(executor, key) == []
    async with transaction(executor.pool) as tx:
        await deliveries.settle(tx, LEASE, [Result(key, 0, "failed", "too late")])
        await deliveries.give_back(tx, LEASE, [GivenBack(key, 0.0, ambiguous=True)])
        assert await deliveries.still_mine(tx, LEASE, [key]) == set()
    assert (await executor.live(), await executor.deliveries()) == (before, [])


async def test_r12_a_mail_that_waits_for_another_attempt_was_sent_too(executor: Executor) -> None:
    """No answer came after its end: it would be handed over again, to somebody who has read it."""
    key = await claimed(executor)
    async with transaction(executor.pool) as tx:
        again = GivenBack(key, 60.0, attempted=True, ambiguous=True)
        await deliveries.give_back(tx, LEASE, [again])
    assert await executor.statuses() == ["later"]
    await executor.act(happened(key, step_id="send-welcome"))
    assert (await stands(executor), await executor.deliveries()) == (("yes", "timer"), [])


async def test_r12_in_a_pause_it_is_settled_and_nobody_moves(executor: Executor) -> None:
    key = await claimed(executor)
    await executor.define(a_flow(after_the_mail("opened"), version=3, status="paused"))
    await executor.act(happened(key, step_id="send-welcome"))
    assert await stands(executor) == ("send-welcome", "reactivation")
    assert await executor.deliveries() == []


async def test_a_mail_nobody_has_begun_to_send_is_not_settled(executor: Executor) -> None:
    await executor.define(a_flow(after_the_mail("opened"), version=2))
    key = await executor.mailing()
    await executor.act(happened(key, step_id="send-welcome", message_id=our_id(key)))
    assert await executor.statuses() == ["pending"]
    await finish(executor, key)
    assert await stands(executor) == ("yes", "timer")


async def test_a_refusal_settles_nothing(executor: Executor) -> None:
    key = await claimed(executor)
    await executor.act(happened(key, "bounced", step_id="send-welcome"))
    assert await executor.statuses() == ["claimed"]


async def test_an_engagement_with_an_earlier_mail_of_the_step_settles_nothing(
    executor: Executor,
) -> None:
    """The membership has come to the step again: by its step alone no mail can be told."""
    circle = [{**SEND, "edges": {"next": "again"}},
              {"step_id": "again", **DAY, "edges": {"next": "send-welcome"}}]  # fmt: skip
    await executor.define(a_flow(circle, version=2))
    first = await executor.mailing()
    await finish(executor, first)
    await executor.pool.execute(
        "UPDATE membership SET waiting_on = 'delivery', hop = 3, step_id = 'send-welcome',"
        " status = 'active', waiting_until = NULL"
    )
    second = DeliveryKey(first.membership_id, 3)
    await executor.pool.execute(
        "INSERT INTO delivery (membership_id, hop, partition, workspace_id, contact_id, flow_id,"
        " step_id, email_id, operational, dynamic_context) SELECT membership_id, hop, partition,"
        " workspace_id, contact_id, flow_id, step_id, $1, false, '{}' FROM membership", WELCOME,
    )  # fmt: skip
    await claim(executor)
    await executor.act(happened(first, step_id="send-welcome", message_id=our_id(first)))
    await executor.act(happened(first, "clicked", step_id="send-welcome"))
    assert await executor.statuses() == ["claimed"]
    await executor.act(happened(second, "clicked", message_id=our_id(second)))
    assert await executor.statuses() == []


async def test_an_event_of_another_contact_settles_nothing(executor: Executor) -> None:
    key = await claimed(executor)
    other = UUID(int=99)
    event = happened(key, step_id="send-welcome").event.model_copy(update={"subject": other})
    await executor.act(created(other), enroll(other), observed(event))
    assert CONTACT in {row["contact_id"] for row in await executor.deliveries()}
