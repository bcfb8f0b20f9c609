"""From a planned delivery to its result: whatever happens on the way, on a real database."""

import asyncio
import socket
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from libs.chassis import failpoints
from libs.chassis.postgres.pool import transaction
from libs.contracts.contact_events import ContactDeleted, ContactUpdated
from libs.contracts.membership_events import MembershipChanged
from libs.contracts.step_commands import ApplyFlow, Remove
from libs.domain.walk import walk
from services.step_executor.deliveries.make_delivery import AMBIGUOUS
from services.step_executor.loops.take_results import TakeResults
from services.step_executor.store import definitions, deliveries, partition_lag
from services.step_executor.store.deliveries import DeliveryKey, GivenBack, Job, Result
from services.step_executor.store.rendered_mail import RenderedMail
from services.step_executor.use_cases import unit_of_work
from services.step_executor.use_cases.record_results import PUT_ASIDE
from tests.integration.step_executor.conftest import SenderMaker
from tests.support.builders import FLOW, NOW, WELCOME, a_flow
from tests.support.executor import Executor, an_email, cloud, envelope, observed, of
from tests.support.queues import fill_queue, workspace
from tests.support.sending import LEASE_SECONDS, OwnerFake, Sender, running
from tests.support.smtp_server import DROP, HANG, SmtpServerFake, smtp_server
from tests.support.waiting import eventually

REMOVE = Remove(**envelope(), flow_id=FLOW, min_flow_version=1)


async def take(executor: Executor, partitions: tuple[int, ...] = (0,)) -> list[Any]:
    """Let the owner of the partitions take results; give what it says."""
    owner = OwnerFake(executor.pool, partitions)
    await owner.run_as_owner(executor.recording.of_others)
    return owner.said


async def update_contact(executor: Executor, **fields: Any) -> None:
    event = ContactUpdated.model_validate({**cloud(), "data": {"fields": fields}})
    await executor.act(observed(event))


async def delete_contact(executor: Executor) -> None:
    await executor.act(observed(ContactDeleted.model_validate(cloud())))


async def judged(executor: Executor, sender: Sender) -> list[Any]:
    """Let a sender look at what it can claim once; give the rows as it leaves them."""
    async with running(sender):
        await eventually(lambda: _nothing_moves(executor), "the sender to be done")
    return await executor.deliveries()


async def _nothing_moves(executor: Executor) -> bool:
    return not {"pending", "claimed"} & set(await executor.statuses())


# What a sender may send --------------------------------------------------------------------------


async def test_r8_a_claim_requires_that_the_run_stands_there(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    await executor.pool.execute("UPDATE membership SET hop = hop + 1")
    (row,) = await judged(executor, a_sender())
    assert (row["outcome"], row["reason"]) == ("skipped", "membership_moved_on")
    assert mail_server.said == []


async def test_r8_consent_is_judged_at_every_attempt(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """Hole 7: 4xx; the contact unsubscribes; the stored mail goes out days later."""
    await executor.mailing()
    mail_server.answer("RCPT", "451 4.7.1 greylisted")
    sender = a_sender()
    assert isinstance(await sender.send_one(), GivenBack)
    await update_contact(executor, unsubscribed=True)
    await executor.time_for_retries()
    (row,) = await judged(executor, sender)
    assert (row["outcome"], row["reason"]) == ("skipped", "unsubscribed")
    assert row["message"] is None
    assert mail_server.messages == []
    said = await take(executor)
    (changed,) = of(MembershipChanged, said)
    assert changed.timeline[0].kind == "email_skipped"


@pytest.mark.parametrize("ends", ["removed", "contact deleted", "flow archived"])
async def test_r8_ending_a_run_withdraws_its_delivery_and_erases_the_mail(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake, ends: str
) -> None:
    await executor.mailing()
    mail_server.answer("MESSAGE", DROP)
    sender = a_sender()
    await sender.send_one()
    (row,) = await executor.deliveries()
    assert row["status"] == "later"
    assert row["message"], "it is kept, to be handed over as it is"
    await end(executor, ends)
    assert await executor.deliveries() == []
    assert await sender.claim() == []


async def end(executor: Executor, how: str) -> None:
    """End the run."""
    if how == "contact deleted":
        await delete_contact(executor)
    elif how == "flow archived":
        for told in await executor.define(a_flow(version=2, status="archived")):
            await executor.act(told)
    else:
        await executor.act(REMOVE)
    assert await executor.live() == []


@pytest.mark.parametrize("ends", ["removed", "contact deleted", "flow archived"])
async def test_r8_a_claimed_delivery_of_a_run_that_ends_is_not_handed_over(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch, ends: str,
) -> None:  # fmt: skip
    """The run ends when the mail is on its way, but for the final dot."""
    await executor.mailing()
    sender = a_sender()
    confirm = sender.confirmations.confirm

    async def ends_first(token: UUID, key: DeliveryKey) -> bool:
        await end(executor, ends)
        return await confirm(token, key)

    monkeypatch.setattr(sender.confirmations, "confirm", ends_first)
    assert await sender.send_one() == GivenBack((await ended_key(executor)), 0.0)
    assert mail_server.count("DATA") == 1
    assert mail_server.messages == []
    (row,) = await executor.deliveries()
    assert (row["status"], row["outcome"], row["message"]) == ("settled", "skipped", None)
    assert await take(executor) == []
    assert await take(executor) == []
    assert [row["outcome"] for row in await executor.ended_deliveries()] == ["skipped"]


async def ended_key(executor: Executor) -> DeliveryKey:
    (row,) = await executor.ended()
    return DeliveryKey(row["membership_id"], row["hop"])


@pytest.mark.parametrize("owns", [True, False], ids=["as owner", "for the owner"])
async def test_r8_a_result_is_taken_once_also_when_the_run_has_ended(
    executor: Executor, a_sender: SenderMaker, *, owns: bool
) -> None:
    key = await executor.mailing()
    sender = a_sender(OwnerFake(executor.pool, [0]) if owns else None)
    (job,) = await sender.claim()
    await end(executor, "removed")
    for _ in range(2):
        sender.results.add(job.token, Result(key, 0, "sent"))
        await sender.results.record()
        assert await take(executor) == []
    assert await executor.deliveries() == []
    assert [row["outcome"] for row in await executor.ended_deliveries()] == ["sent"]


@pytest.mark.parametrize("lag", [301.0, None], ids=["behind", "unknown"])
async def test_r9_marketing_mail_of_a_partition_that_lags_is_held(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake, lag: float | None
) -> None:
    """Hole 8: what says that a contact has unsubscribed may be on its way."""
    marketing, _ = await executor.crowd(2)
    await executor.pool.execute(
        "UPDATE delivery SET operational = true WHERE membership_id <> $1", marketing.membership_id
    )
    if lag is None:
        await executor.pool.execute(
            "UPDATE partition_lag SET measured_at = now() - interval '31 seconds'"
        )
    else:
        async with transaction(executor.pool) as tx:
            await partition_lag.write(tx, {0: lag})
    await judged(executor, a_sender())
    rows = {row["membership_id"]: row for row in await executor.deliveries()}
    held = rows.pop(marketing.membership_id)
    assert (held["status"], held["attempt"]) == ("later", 0)
    assert [row["outcome"] for row in rows.values()] == ["sent"]
    assert len(mail_server.messages) == 1
    async with transaction(executor.pool) as tx:
        await partition_lag.write(tx, {0: 299.0})
    await executor.time_for_retries()
    await judged(executor, a_sender())
    assert len(mail_server.messages) == 2


# Pauses ------------------------------------------------------------------------------------------


async def apply(executor: Executor, told: list[Any], page: int = 2) -> int:
    """Apply a flow's change to partition 0, page by page; give how many batches it took."""
    batches, todo = 0, [one for one in of(ApplyFlow, told) if one.partition == 0]
    while todo:
        todo = of(ApplyFlow, await executor.act(*todo, page=page))
        batches += 1
    return batches


async def test_r23_a_pause_holds_in_pages_and_reactivation_releases(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.crowd(5)
    paused = await executor.define(a_flow(version=2, status="paused"))
    assert await apply(executor, paused) == 3
    assert await executor.statuses() == 5 * ["held"]
    assert await a_sender().claim() == []
    active = await executor.define(a_flow(version=3, status="active"))
    assert await apply(executor, active) == 3
    assert await executor.statuses() == 5 * ["pending"]
    await judged(executor, a_sender())
    assert len(mail_server.messages) == 5


async def test_r23_a_sender_that_read_paused_when_it_was_released_is_not_stuck(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """Hole 16 (b): a sender reads "paused"; ApplyFlow releases; then the sender gives back."""
    key = await executor.mailing()
    await executor.define(a_flow(version=2, status="paused"))
    sender = a_sender()
    (job,) = await sender.claim()
    assert job.circumstances.flow_status == "paused"
    await apply(executor, await executor.define(a_flow(version=3, status="active")))
    sender.results.add(job.token, GivenBack(key, 30.0))
    await sender.results.record()
    (row,) = await executor.deliveries()
    assert row["status"] == "later", "only ApplyFlow holds"
    wait = row["next_attempt_at"] - row["claimed_at"]
    assert timedelta() < wait <= timedelta(seconds=30)
    assert await sender.claim() == [], "never hot"
    await executor.time_for_retries()
    await judged(executor, sender)
    assert len(mail_server.messages) == 1


async def test_r23_senders_only_give_back_what_is_paused(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """The flow is paused, and the pages that hold have not come to it yet."""
    await executor.crowd(3)
    await executor.define(a_flow(version=2, status="paused"))
    rows = await judged(executor, a_sender())
    assert {(row["status"], row["attempt"]) for row in rows} == {("later", 0)}
    assert mail_server.said == []
    await apply(executor, [an_apply(2)])
    assert await executor.statuses() == 3 * ["held"]


async def test_r23_an_edit_of_an_active_flow_leaves_the_waits_between_attempts_alone(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    mail_server.answer("RCPT", "451 4.7.1 greylisted")
    await a_sender().send_one()
    (before,) = await executor.deliveries()
    await executor.define(a_flow(version=2))
    await apply(executor, [an_apply(2)])
    assert await executor.deliveries() == [before]


def an_apply(version: int) -> ApplyFlow:
    return ApplyFlow(
        id=UUID(int=version), time=NOW, workspace_id=workspace(1), flow_id=FLOW, version=version,
        partition=0,
    )  # fmt: skip


# A server that is down ---------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def versions(executor: Executor) -> dict[UUID, tuple[Any, ...]]:
    rows = await executor.pool.fetch("SELECT membership_id, ctid::text, xmin::text FROM delivery")
    return {row["membership_id"]: (row["ctid"], row["xmin"]) for row in rows}


@pytest.mark.parametrize("ahead", [0, 128])
async def test_r24_while_the_server_is_down_one_row_probes_it(
    executor: Executor, a_sender: SenderMaker, ahead: int
) -> None:
    """Hole 16 (c): a million rows times 300 attempts. Here are a thousand, and five probes."""
    await fill_queue(executor.pool, 1000)
    port = free_port()
    sender = a_sender(port=port, deliveries_claimed_ahead=ahead)
    probes = 5
    async with running(sender):
        await eventually(lambda: sender.target.is_down, "the server to be known as down")
        await eventually(lambda: _all_pending(executor), "all to be given back")
        before = await versions(executor)
        for _ in range(probes):
            seen = await versions(executor)
            sender.target_clock.pass_by(31)
            await eventually(partial(_one_changed, executor, seen), "a probe")
        after = await versions(executor)
        assert sum(after[one] != version for one, version in before.items()) <= probes
        async with smtp_server(port=port) as fake:
            sender.target_clock.pass_by(31)
            await eventually(lambda: len(fake.messages) == 1000, "all mails")
    attempts = await executor.pool.fetchval("SELECT max(attempt) FROM delivery")
    assert attempts == 1, "a server that is not there costs no attempt"


async def _all_pending(executor: Executor) -> bool:
    return set(await executor.statuses()) == {"pending"}


async def _one_changed(executor: Executor, before: dict[UUID, tuple[Any, ...]]) -> bool:
    return await versions(executor) != before and await _all_pending(executor)


async def test_a_mail_its_server_drops_the_connection_over_stops_no_other(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    keys = await executor.crowd(10)
    mail_server.against["<103@example.com>"] = DROP
    sender = a_sender(deliveries_at_once=2)
    async with running(sender):
        await eventually(lambda: len(mail_server.messages) == 9, "the others")
        assert not sender.target.is_down
    rows = {row["membership_id"]: row for row in await executor.deliveries()}
    poison = rows[keys[3].membership_id]
    assert (poison["status"], poison["attempt"]) == ("later", 1)


@pytest.mark.parametrize("code", [530, 534, 535, 538])
async def test_a_mail_its_server_wants_a_login_for_stops_no_other(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake, code: int
) -> None:
    keys = await executor.crowd(10)
    mail_server.against["<103@example.com>"] = f"{code} 5.7.0 not from you"
    sender = a_sender(deliveries_at_once=2)
    async with running(sender):
        await eventually(lambda: len(mail_server.messages) == 9, "the others")
        assert not sender.target.is_down
    rows = {row["membership_id"]: row for row in await executor.deliveries()}
    refused = rows[keys[3].membership_id]
    assert (refused["status"], refused["attempt"]) == ("later", 1)


# Results -----------------------------------------------------------------------------------------


async def test_the_owner_walks_on_in_the_same_transaction(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    owner = OwnerFake(executor.pool, [0])
    assert isinstance(await a_sender(owner).send_one(), Result)
    (member,) = await executor.live()
    assert member["step_id"] == "wait-3-days"
    assert len(of(MembershipChanged, owner.said)) == 1
    assert await executor.deliveries() == []
    assert len(mail_server.messages) == 1


async def test_r25_a_result_whose_transaction_is_fenced_is_written_alone(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """Hole 17: sent; the partition has moved; the shared transaction is undone."""
    await executor.mailing()
    owner = OwnerFake(executor.pool, [0])
    owner.fenced = True
    sender = a_sender(owner)
    await sender.send_one()
    (row,) = await executor.deliveries()
    assert (row["status"], row["outcome"]) == ("settled", "sent")
    assert sender.results.is_empty
    assert len(of(MembershipChanged, await take(executor))) == 1
    assert await take(executor) == []
    (member,) = await executor.live()
    assert member["step_id"] == "wait-3-days"
    assert await sender.claim() == []
    assert len(mail_server.messages) == 1


async def test_r25_results_of_partitions_lost_meanwhile_are_written_alone(
    executor: Executor, a_sender: SenderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two partitions one is lost between looking and writing."""
    await fill_queue(executor.pool, 4)
    owner = OwnerFake(executor.pool, [0, 1])
    sender = a_sender(owner)
    jobs = await sender.claim()
    run = owner.run_as_owner

    async def loses_one(*arguments: Any) -> bool:
        owner.armed.pop(1, None)
        return await run(*arguments)

    monkeypatch.setattr(owner, "run_as_owner", loses_one)
    for job in jobs:
        sender.results.add(job.token, Result(job.claimed.key, job.claimed.partition, "sent"))
    await sender.results.record()
    assert len(await executor.ended_deliveries()) == 2
    assert await executor.statuses() == 2 * ["settled"]
    await take(executor, (0, 1))
    assert len(await executor.ended_deliveries()) == 4


async def test_an_outage_keeps_results_until_they_are_recorded(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await executor.crowd(3)
    settle, failures = deliveries.settle, iter([OSError("away"), OSError("away")])

    async def fails_twice(*arguments: Any) -> None:
        for error in failures:
            raise error
        await settle(*arguments)

    monkeypatch.setattr(deliveries, "settle", fails_twice)
    async with running(a_sender()):
        await eventually(lambda: _all_settled(executor), "the results")
    assert len(mail_server.messages) == 3


async def _all_settled(executor: Executor) -> bool:
    return set(await executor.statuses()) == {"settled"}


@pytest.mark.parametrize("owns", [True, False], ids=["as owner", "for the owner"])
async def test_r10_a_result_whose_walk_fails_costs_no_other(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch, *, owns: bool,
) -> None:  # fmt: skip
    keys = await executor.crowd(3)

    def broken(flow: Any, membership: Any, *rest: Any) -> Any:
        if membership.membership_id == keys[1].membership_id:
            raise RuntimeError("a bug in this step")
        return walk(flow, membership, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(unit_of_work, "walk", broken)
        async with running(a_sender(OwnerFake(executor.pool, [0]) if owns else None)):
            await eventually(lambda: len(mail_server.messages) == 3, "all mails")
        await take(executor)
        assert len(await executor.ended_deliveries()) == 2
        (row,) = await executor.deliveries()
        assert (row["status"], row["outcome"]) == ("settled", "sent")
        assert not await executor.recording.is_any_settled([0]), "it is not offered at once"
    await executor.pool.execute("UPDATE delivery SET next_attempt_at = now()")
    assert len(of(MembershipChanged, await take(executor))) == 1
    assert await executor.deliveries() == []


@pytest.mark.parametrize("owns", [True, False], ids=["as owner", "for the owner"])
async def test_r10_results_whose_transaction_fails_are_taken_one_by_one(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake, *, owns: bool
) -> None:
    """What one run would say is too large for its topic: it is found out after the walk."""
    keys = await executor.crowd(5)
    owner = OwnerFake(executor.pool, [0])
    owner.unspeakable = {UUID(int=102)}
    async with running(a_sender(owner if owns else None)):
        await eventually(lambda: len(mail_server.messages) == 5, "all mails")
    taking, put_aside = TakeResults(owner.as_reader, executor.recording), PUT_ASIDE._value.get()  # noqa: SLF001
    for _ in range(4):
        owner.arm()
        await taking.take()
    (row,) = await executor.deliveries()
    assert (row["membership_id"], row["outcome"]) == (keys[2].membership_id, "sent")
    wait = row["next_attempt_at"] - row["claimed_at"]
    assert timedelta(minutes=4) < wait < timedelta(minutes=6)
    assert PUT_ASIDE._value.get() - put_aside == 1  # noqa: SLF001
    assert len(of(MembershipChanged, owner.said)) == 4


async def test_all_results_that_senders_left_are_taken(executor: Executor) -> None:
    """Not so many at a tick: the results of fast senders would pile up."""
    await fill_queue(executor.pool, 1200)
    await executor.pool.execute("UPDATE delivery SET status = 'settled', outcome = 'sent'")
    owner = OwnerFake(executor.pool, [0, 1])
    await TakeResults(owner.as_reader, executor.recording).take()
    assert await executor.deliveries() == []
    assert len(await executor.ended_deliveries()) == 1200


# Many at once ------------------------------------------------------------------------------------


async def test_two_senders_hand_each_of_500_mails_over_once(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await fill_queue(executor.pool, 500, workspaces=7)
    owner = OwnerFake(executor.pool, [0])
    async with running(a_sender(owner), a_sender()):
        await eventually(lambda: _none_left(executor), "all results")
    asked = [one for one in mail_server.said if one.startswith("RCPT")]
    assert len(mail_server.messages) == len(asked) == len(set(asked)) == 500
    await take(executor, (0, 1))
    assert len(await executor.ended_deliveries()) == 500


async def _none_left(executor: Executor) -> bool:
    return set(await executor.statuses()) <= {"settled"}


async def test_ten_mails_do_not_wait_behind_twenty_thousand(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await fill_queue(executor.pool, 20_000, first_workspace=500)
    await fill_queue(executor.pool, 10, first_workspace=900, first=20_000)
    sender = a_sender()
    claimed = [job for _ in range(2) for job in await sender.claim(64)]
    assert sum(job.claimed.workspace_id == workspace(900) for job in claimed) == 10
    assert len(claimed) == 2 * 64, "what the small one leaves goes to the large one"


async def test_workspaces_with_nothing_but_retries_are_not_gone_round(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await fill_queue(executor.pool, 3000, workspaces=3000, first_workspace=100)
    await executor.pool.execute(
        "UPDATE delivery SET status = 'later', next_attempt_at = now() + interval '1 hour'"
    )
    await fill_queue(executor.pool, 1, first_workspace=9999, first=3000)
    sender = a_sender()
    assert [job.claimed.workspace_id for job in await sender.claim()] == [workspace(9999)]
    await executor.pool.execute(
        "UPDATE delivery SET next_attempt_at = now() WHERE workspace_id = $1", workspace(2000)
    )

    async def found() -> bool:
        return [job.claimed.workspace_id for job in await sender.claim()] == [workspace(2000)]

    await eventually(found, "a retry whose time has come", 5)


# What one mail does ------------------------------------------------------------------------------


class Panic(BaseException):
    """What no handler expects."""


@pytest.mark.parametrize("error", [ValueError("x"), Panic("x"), asyncio.CancelledError("x")])
async def test_a_mail_that_raises_anything_costs_itself_alone(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch, error: BaseException,
) -> None:  # fmt: skip
    keys = await executor.crowd(3)
    sender = a_sender()
    make = sender.make.make

    async def breaks(job: Job) -> Result | GivenBack:
        if job.claimed.key == keys[1]:
            raise error
        return await make(job)

    monkeypatch.setattr(sender.make, "make", breaks)
    async with running(sender):
        await eventually(lambda: _all_settled(executor), "all results")
    rows = {row["membership_id"]: row for row in await executor.deliveries()}
    broken = rows[keys[1].membership_id]
    assert (broken["outcome"], broken["reason"]) == ("failed", repr(error))
    assert len(mail_server.messages) == 2


async def test_an_outage_while_composing_costs_no_attempt(
    executor: Executor, a_sender: SenderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await executor.mailing()
    sender = a_sender()

    async def away(_: Job) -> Result | GivenBack:
        raise OSError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(sender.make, "make", away)
        (row,) = await judged(executor, sender)
    assert (row["status"], row["attempt"]) == ("later", 0)


async def test_after_a_refusal_for_now_a_mail_is_written_anew_under_its_message_id(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """The contact corrects its address; and a storm of refusals stores no mails."""
    await executor.mailing()
    sender = a_sender()
    mail_server.answer("MESSAGE", "451 4.7.1 greylisted")
    first = await sender.send_one()
    assert isinstance(first, GivenBack)
    (row,) = await executor.deliveries()
    assert (row["sender"], row["recipient"], row["message"]) == (None, None, None)
    await update_contact(executor, firstName="Ada", email="right@example.com")
    await executor.time_for_retries()
    assert isinstance(await sender.send_one(), Result)
    assert mail_server.said[-2] == "RCPT TO:<right@example.com>"
    refused, sent = mail_server.messages
    assert b"Hello there" in refused
    assert b"Hello Ada" in sent
    assert message_id(refused) == message_id(sent)


def message_id(message: bytes) -> bytes:
    (found,) = (one for one in message.split(b"\r\n") if one.lower().startswith(b"message-id:"))
    return found


async def test_what_may_have_arrived_is_handed_over_again_with_the_same_bytes(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """Also where the contact changes, and attempts between do not get so far."""
    await executor.mailing()
    sender = a_sender()
    mail_server.answer("MESSAGE", DROP)
    first = await sender.send_one()
    assert isinstance(first, GivenBack)
    assert isinstance(first.rendered, RenderedMail)
    await update_contact(executor, firstName="Somebody Else")
    for trouble in (("CONNECT", "554 go away"), ("RCPT", "451 4.7.1 greylisted")):
        mail_server.answer(*trouble)
        await executor.time_for_retries()
        await sender.server.close()
        assert isinstance(await sender.send_one(), GivenBack)
    await executor.time_for_retries()
    assert isinstance(await sender.send_one(), Result)
    sent = first.rendered.message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    assert mail_server.messages == [sent, sent]
    (row,) = await executor.deliveries()
    assert (row["attempt"], row["message"]) == (3, None)


async def test_attempts_without_an_answer_are_counted_and_limited(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    sender = a_sender(delivery_ambiguous_attempts=2)
    mail_server.answer("MESSAGE", DROP, DROP, DROP)
    before = AMBIGUOUS._value.get()  # noqa: SLF001  (the library has no other way)
    for ambiguous in (1, 2):
        assert isinstance(await sender.send_one(), GivenBack)
        (row,) = await executor.deliveries()
        assert (row["ambiguous"], row["attempt"]) == (ambiguous, ambiguous)
        await executor.time_for_retries()
    assert isinstance(await sender.send_one(), Result)
    (row,) = await executor.deliveries()
    assert row["outcome"] == "failed"
    assert row["reason"].startswith("no answer, several times")
    assert AMBIGUOUS._value.get() - before == 3  # noqa: SLF001
    assert len(mail_server.messages) == 3
    assert len(set(mail_server.messages)) == 1, "the same Message-ID and all the rest"


async def test_attempts_are_limited(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    sender = a_sender(delivery_attempts=3)
    mail_server.answer("RCPT", *3 * ["451 4.7.1 greylisted"])
    for _ in range(3):
        await executor.time_for_retries()
        await sender.send_one()
    (row,) = await executor.deliveries()
    assert (row["outcome"], row["reason"]) == ("failed", "451 4.7.1 greylisted")


async def failed_and_went_on(executor: Executor) -> str:
    """Check that a delivery has failed and that the run goes on; give the reason."""
    (row,) = await executor.deliveries()
    assert row["outcome"] == "failed"
    (changed,) = of(MembershipChanged, await take(executor))
    assert [one.kind for one in changed.timeline][:2] == ["step_failed", "step_executed"]
    (member,) = await executor.live()
    assert member["step_id"] == "wait-3-days"
    reason: str = row["reason"]
    return reason


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("550 5.1.1 <ada@example.com> unknown", "550"),
        ("cannot_compose: no_address: 'ada@example.com'", "cannot_compose"),
        ("no answer, several times: ConnectionGone('ada')", "no answer, several times"),
        ("ValueError('ada@example.com')", "ValueError"),
        ("senders_died", "senders_died"),
        ("ada@example.com is nobody", "other"),
        (None, None),
    ],
)
async def test_of_a_reason_the_archive_keeps_the_code_and_the_timeline_the_sentence(
    executor: Executor, a_sender: SenderMaker, reason: str | None, code: str | None
) -> None:
    key = await executor.mailing()
    sender = a_sender()
    (job,) = await sender.claim()
    sender.results.add(job.token, Result(key, 0, "failed", reason))
    await sender.results.record()
    (changed,) = of(MembershipChanged, await take(executor))
    assert reason is None or reason in changed.timeline[0].model_dump_json()
    assert [row["reason"] for row in await executor.ended_deliveries()] == [code]


async def test_a_refusal_for_good_fails(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    mail_server.answer("RCPT", "550 5.1.1 nobody here")
    await a_sender().send_one()
    assert await failed_and_went_on(executor) == "550 5.1.1 nobody here"


async def test_what_is_no_address_fails(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    await update_contact(executor, email="nobody at all")
    await a_sender().send_one()
    assert "no_address" in await failed_and_went_on(executor)
    assert mail_server.said == []


async def test_a_mail_that_cannot_be_composed_fails(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    await executor.mailing()
    broken = an_email(WELCOME, version=2).model_copy(update={"from_address": "no address"})
    async with transaction(executor.pool) as tx:
        await definitions.put_emails(tx, [broken])
    await a_sender().send_one()
    assert (await failed_and_went_on(executor)).startswith("cannot_compose")
    assert mail_server.said == []


async def test_a_reason_that_the_database_cannot_hold_is_made_fit(
    executor: Executor, a_sender: SenderMaker
) -> None:
    key = await executor.mailing()
    sender = a_sender()
    (job,) = await sender.claim()
    sender.results.add(job.token, Result(key, 0, "failed", "a\0b \udc80" + 5000 * "c"))
    await sender.results.record()
    reason = await failed_and_went_on(executor)
    assert reason.startswith("a b ?c")
    assert len(reason) == 1000


async def test_r10_a_mail_not_known_yet_is_waited_for(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """Flows and mails travel in different partitions."""
    await executor.mailing()
    await executor.pool.execute("DELETE FROM email_definition")
    (row,) = await judged(executor, a_sender())
    assert row["status"] == "later"
    async with transaction(executor.pool) as tx:
        await definitions.put_emails(tx, [an_email(WELCOME)])
    await executor.time_for_retries()
    await judged(executor, a_sender())
    assert len(mail_server.messages) == 1


async def test_r10_a_mail_that_never_comes_fails_in_the_end(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    await executor.pool.execute("DELETE FROM email_definition")
    await executor.pool.execute("UPDATE delivery SET planned_at = now() - interval '11 minutes'")
    await judged(executor, a_sender())
    assert await failed_and_went_on(executor) == "email_not_found"


async def test_every_crash_point_of_the_way_is_reached_once(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    async with running(a_sender()):
        await eventually(lambda: _all_settled(executor), "the result")
    points = ("after_claim", "before_send", "after_send", "after_recording")
    assert {point: failpoints.hits[point] for point in points} == dict.fromkeys(points, 1)
    for point in points:
        failpoints.plan(point, print)


async def test_an_attempt_that_is_cancelled_leaves_its_claim(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """The process ends, out of patience, with the end of a message written and no answer."""
    await executor.mailing()
    sender, other = a_sender(), a_sender()
    mail_server.answer("MESSAGE", HANG)
    whole = asyncio.create_task(sender.whole.run(asyncio.Event()))
    await eventually(lambda: len(mail_server.messages) == 1, "the mail")
    before = asyncio.all_tasks()
    attempts = [one for one in before if one.get_coro().__qualname__.endswith("._deliver")]  # type: ignore[union-attr]
    for task in (whole, *attempts):
        task.cancel()
    await asyncio.wait([whole, *attempts])
    assert await executor.statuses() == ["claimed"]
    assert sender.results.is_empty
    counted = AMBIGUOUS._value.get()  # noqa: SLF001
    await other.look_for(LEASE_SECONDS)
    assert await executor.statuses() == ["pending"]
    assert AMBIGUOUS._value.get() - counted == 1  # noqa: SLF001
