"""Leases: who may hand mails over, and when what a sender had claimed is made by others."""

import asyncio
from uuid import UUID

import pytest

from libs.chassis.postgres.pool import transaction
from services.step_executor.loops.keep_lease import TAKEOVERS_AT_MOST
from services.step_executor.store import deliveries, senders
from services.step_executor.store.deliveries import GivenBack, Lane, Result
from tests.integration.step_executor.conftest import SenderMaker
from tests.support.executor import Executor
from tests.support.sending import LEASE_SECONDS, OwnerFake, Sender, running
from tests.support.smtp_server import HANG, SmtpServerFake
from tests.support.waiting import eventually


async def set_clock_of_database_ahead(executor: Executor) -> None:
    """Let everything it has written look 40 seconds older than it is."""
    await executor.pool.execute(
        "UPDATE delivery SET claimed_at = claimed_at - interval '40 seconds', "
        "next_attempt_at = next_attempt_at - interval '40 seconds'"
    )


async def test_r6_a_database_whose_clock_is_ahead_takes_nobody_over(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    living, other = a_sender(), a_sender()
    assert len(await living.claim()) == 1
    await other.keeping.watch()
    await set_clock_of_database_ahead(executor)
    await other.keeping.watch()
    assert await executor.statuses() == ["claimed"]


async def live_sender_is_left_alone(executor: Executor, living: Sender, other: Sender) -> None:
    """Ten leases long one sender beats and the other watches."""
    await executor.mailing()
    assert len(await living.claim()) == 1
    for _ in range(10 * 4):
        await other.keeping.watch()
        other.clock.pass_by(LEASE_SECONDS / 4)
        living.clock.pass_by(LEASE_SECONDS / 4)
        await living.keeping.beat()
    assert await executor.statuses() == ["claimed"]
    assert len(await senders.heartbeats(executor.pool)) == 1


async def test_r6_a_living_sender_is_never_taken_over(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await live_sender_is_left_alone(executor, a_sender(), a_sender())


async def test_r6_after_an_outage_between_two_looks_everyone_has_a_whole_lease(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    dead, other = a_sender(), a_sender()
    await dead.claim()
    await other.keeping.watch()
    other.clock.pass_by(60)
    await other.look_for(LEASE_SECONDS / 2)
    assert await executor.statuses() == ["claimed"], "nobody could beat for 60 seconds"
    await other.look_for(LEASE_SECONDS)
    assert await executor.statuses() == ["pending"]


async def test_r6_looks_that_failed_do_not_count(
    executor: Executor, a_sender: SenderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away for 60 seconds, in which it is asked again and again."""
    await executor.mailing()
    dead, other = a_sender(), a_sender()
    await dead.claim()
    await other.keeping.watch()

    async def away(_: object) -> None:
        raise OSError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(senders, "heartbeats", away)
        await other.look_for(60)
    await other.look_for(LEASE_SECONDS * 3 / 4 - 1)
    assert await executor.statuses() == ["claimed"]
    await other.look_for(LEASE_SECONDS)
    assert await executor.statuses() == ["pending"]


async def test_r6_a_longer_lease_is_waited_out(executor: Executor, a_sender: SenderMaker) -> None:
    """The setting is being raised: the new process beats four times in 40 seconds."""
    await executor.mailing()
    slow, other = a_sender(), a_sender()
    slow.lease.seconds = 40.0
    await slow.claim()
    await other.look_for(2 * LEASE_SECONDS)
    assert await executor.statuses() == ["claimed"]
    await other.look_for(40)
    assert await executor.statuses() == ["pending"]


class Stopped:
    """A sender that is stopped right before the final dot: where it asks whether it may go on."""

    def __init__(self, sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
        self._confirm = sender.confirmations.confirm
        self.is_there, self.goes_on = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(sender.confirmations, "confirm", self.confirm)

    async def confirm(self, token: UUID, key: deliveries.DeliveryKey) -> bool:
        self.is_there.set()
        await self.goes_on.wait()
        return await self._confirm(token, key)


async def stopped_sender_sends_no_more(
    executor: Executor, pair: tuple[Sender, Sender], mails: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Hole 6: P checks its lease and is stopped; Q takes over and sends; P resumes."""
    await executor.mailing()
    first, second = pair
    stopped = Stopped(first, monkeypatch)
    (job,) = await first.claim()
    attempt = asyncio.create_task(first.attempt(job))
    await stopped.is_there.wait()
    await second.look_for(LEASE_SECONDS)
    assert isinstance(await second.send_one(), Result)
    first.clock.pass_by(60)
    stopped.goes_on.set()
    assert await attempt == GivenBack(job.claimed.key, 0.0)
    await first.results.record()
    await second.results.record()
    assert len(mails.messages) == 1


async def test_r7_a_sender_that_was_stopped_before_the_dot_does_not_write_it(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await stopped_sender_sends_no_more(executor, (a_sender(), a_sender()), mail_server, monkeypatch)


async def test_r7_the_row_is_read_again_though_the_lease_still_holds(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Were the clocks to disagree, the row would still say who may send."""
    await executor.mailing()
    first, second = a_sender(), a_sender()
    stopped = Stopped(first, monkeypatch)
    (job,) = await first.claim()
    attempt = asyncio.create_task(first.attempt(job))
    await stopped.is_there.wait()
    await second.look_for(LEASE_SECONDS)
    assert not first.lease.has_run_out()
    stopped.goes_on.set()
    assert await attempt == GivenBack(job.claimed.key, 0.0)
    assert mail_server.messages == []


async def test_r7_a_lease_that_has_run_out_confirms_nothing(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    sender = a_sender()
    (job,) = await sender.claim()
    assert await sender.confirmations.confirm(job.token, job.claimed.key)
    sender.clock.pass_by(LEASE_SECONDS)
    assert not await sender.confirmations.confirm(job.token, job.claimed.key)


@pytest.mark.parametrize("owns", [True, False], ids=["as owner", "for the owner"])
@pytest.mark.parametrize("claimed_again", [True, False], ids=["claimed again", "pending again"])
async def test_r7_a_late_sent_counts_whoever_holds_the_claim(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    *, owns: bool, claimed_again: bool,
) -> None:  # fmt: skip
    """P's mail was taken; before P could record it, Q took over; then P records it."""
    await executor.mailing()
    first = a_sender(OwnerFake(executor.pool, [0]) if owns else None)
    second = a_sender()
    (job,) = await first.claim()
    await first.attempt(job)
    await second.look_for(LEASE_SECONDS)
    again = await second.claim() if claimed_again else []
    await first.results.record()
    if owns:
        assert [row["outcome"] for row in await executor.ended_deliveries()] == ["sent"]
    else:
        (row,) = await executor.deliveries()
        assert (row["status"], row["outcome"], row["claim"]) == ("settled", "sent", None)
    for late in again:
        assert await second.attempt(late) == GivenBack(job.claimed.key, 0.0)
    await second.results.record()
    assert await second.claim() == []
    assert len(mail_server.messages) == 1


async def stale_refusal_counts_no_more(executor: Executor, first: Sender, second: Sender) -> None:
    """P's mail was refused; before P could record it, Q took over, and is at it now."""
    await executor.mailing()
    (job,) = await first.claim()
    first.results.add(job.token, Result(job.claimed.key, 0, "failed", "550 no"))
    await second.look_for(LEASE_SECONDS)
    assert len(await second.claim()) == 1
    await first.results.record()
    assert await executor.statuses() == ["claimed"]


@pytest.mark.parametrize("owns", [True, False], ids=["as owner", "for the owner"])
async def test_r7_a_late_refusal_counts_no_more(
    executor: Executor, a_sender: SenderMaker, *, owns: bool
) -> None:
    owner = OwnerFake(executor.pool, [0]) if owns else None
    await stale_refusal_counts_no_more(executor, a_sender(owner), a_sender())


async def test_r7_a_late_sent_counts_also_where_the_delivery_was_given_up(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    first, second = a_sender(), a_sender()
    await executor.pool.execute("UPDATE delivery SET takeovers = $1", TAKEOVERS_AT_MOST)
    (job,) = await first.claim()
    first.results.add(job.token, Result(job.claimed.key, 0, "sent"))
    await second.look_for(LEASE_SECONDS)
    (row,) = await executor.deliveries()
    assert (row["outcome"], row["reason"]) == ("failed", "senders_died")
    await first.results.record()
    (row,) = await executor.deliveries()
    assert (row["status"], row["outcome"], row["reason"]) == ("settled", "sent", None)


async def test_r7_a_lease_that_ran_out_is_not_renewed(
    executor: Executor, a_sender: SenderMaker
) -> None:
    sender = a_sender()
    await sender.keeping.beat()
    before = sender.lease.token
    await sender.keeping.beat()
    assert sender.lease.token == before
    sender.clock.pass_by(LEASE_SECONDS)
    await sender.keeping.beat()
    assert sender.lease.token != before
    beats = await senders.heartbeats(executor.pool)
    assert (beats[before].beats, beats[sender.lease.token].beats) == (1, 0)
    await sender.look_for(LEASE_SECONDS)
    assert before not in await senders.heartbeats(executor.pool)


async def test_r7_the_lease_counts_from_before_the_heartbeat_was_sent(
    a_sender: SenderMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = a_sender()
    await sender.keeping.beat()
    beat = senders.beat

    async def slow(*arguments: object) -> bool:
        sender.clock.pass_by(5)
        return await beat(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(senders, "beat", slow)
    await sender.keeping.beat()
    sender.clock.pass_by(LEASE_SECONDS - 5)
    assert sender.lease.has_run_out()


async def test_r7_a_lease_that_was_taken_away_begins_anew(
    a_sender: SenderMaker,
) -> None:
    sender, other = a_sender(), a_sender()
    await sender.keeping.beat()
    before = sender.lease.token
    await other.look_for(LEASE_SECONDS)
    await sender.keeping.beat()
    assert sender.lease.token != before
    assert not sender.lease.has_run_out()


async def lease_taken_away_claims_nothing(executor: Executor, first: Sender, other: Sender) -> None:
    await executor.mailing()
    await first.keeping.beat()
    await other.look_for(LEASE_SECONDS)
    assert await first.claims.claim(first.lease.token, 64) == []
    assert await executor.statuses() == ["pending"]


async def test_r7_nothing_is_claimed_under_a_lease_that_was_taken_away(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await lease_taken_away_claims_nothing(executor, a_sender(), a_sender())


async def test_r7_taking_over_waits_for_a_claim_and_sees_it(
    executor: Executor, a_sender: SenderMaker
) -> None:
    """P is stopped inside its claim's transaction; Q takes over; P commits, and dies."""
    await executor.mailing()
    first, second = a_sender(), a_sender()
    await first.keeping.beat()
    (beats,) = (await senders.heartbeats(executor.pool)).values()

    async def take_over() -> tuple[int, int]:
        async with transaction(executor.pool) as tx:
            return await senders.take_over(tx, first.lease.token, beats.beats, TAKEOVERS_AT_MOST)

    async with transaction(executor.pool) as tx:
        (waiting,) = await deliveries.waiting_workspaces(tx, UUID(int=0), 1)
        assert len(await deliveries.claim(tx, first.lease.token, [Lane(waiting)], 1)) == 1
        taking = asyncio.create_task(take_over())
        await eventually(lambda: _somebody_waits(executor), "taking over to wait")
    assert await taking == (1, 0)
    assert await executor.statuses() == ["pending"]
    assert len(await second.claim()) == 1


async def _somebody_waits(executor: Executor) -> bool:
    return bool(await executor.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


_LOCKING = "give_back", "settle", "mine", "take_over", "hold", "withdraw"


@pytest.mark.parametrize("statement", _LOCKING)
async def test_deliveries_are_locked_in_the_order_of_their_keys(
    executor: Executor, a_sender: SenderMaker, statement: str
) -> None:
    """Whoever waits for the first holds none of the others: two never wait for each other."""
    await executor.crowd(6)
    sender = a_sender()
    if statement not in ("hold", "withdraw"):
        await sender.claim()
    keys = sorted([deliveries.DeliveryKey(row["membership_id"], row["hop"])
                   for row in await executor.deliveries()], reverse=True)  # fmt: skip
    async with executor.pool.acquire() as other, other.transaction():
        await other.execute(f"{_LOCK} membership_id = $1 FOR UPDATE", keys[-1].membership_id)
        act = asyncio.create_task(_act(executor, statement, sender, keys))
        await eventually(lambda: _somebody_waits(executor), "it to wait")
        free = await other.fetch(f"{_LOCK} true FOR UPDATE SKIP LOCKED")
        assert len(free) == len(keys)
    await act


_LOCK = "SELECT membership_id FROM delivery WHERE"


async def _act(
    executor: Executor, statement: str, sender: Sender, keys: list[deliveries.DeliveryKey]
) -> None:
    token = sender.lease.token
    async with transaction(executor.pool) as tx:
        match statement:
            case "give_back":
                await deliveries.give_back(tx, token, [GivenBack(key, 1.0) for key in keys])
            case "settle":
                await deliveries.settle(tx, token, [Result(key, 0, "sent") for key in keys])
            case "mine":
                await deliveries.mine(tx, token, [Result(key, 0, "sent") for key in keys])
            case "take_over":
                beats = (await senders.heartbeats(tx))[token].beats
                await senders.take_over(tx, token, beats, TAKEOVERS_AT_MOST)
            case "hold":
                await deliveries.hold(tx, keys)
            case _:
                await deliveries.withdraw(tx, keys)


async def test_r7_a_claim_lets_heartbeats_pass(executor: Executor, a_sender: SenderMaker) -> None:
    await executor.mailing()
    sender = a_sender()
    await sender.keeping.beat()
    async with transaction(executor.pool) as tx:
        (waiting,) = await deliveries.waiting_workspaces(tx, UUID(int=0), 1)
        await deliveries.claim(tx, sender.lease.token, [Lane(waiting)], 1)
        await asyncio.wait_for(sender.keeping.beat(), 5)


async def test_r22_what_was_taken_over_is_sent_alone(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Hole 16 (a): of 20 mails 5 were in the hands of a sender that died."""
    await executor.crowd(20)
    dead, living = a_sender(), a_sender()
    suspects = {job.claimed.key for job in await dead.claim(5)}
    await living.look_for(LEASE_SECONDS)
    make, at_once = living.make.make, set()
    seen = []

    async def watched(job: deliveries.Job) -> Result | GivenBack:
        at_once.add(job.claimed.key)
        seen.append(set(at_once))
        try:
            return await make(job)
        finally:
            at_once.discard(job.claimed.key)

    monkeypatch.setattr(living.make, "make", watched)
    async with running(living):
        await eventually(lambda: len(mail_server.messages) == 20, "all mails")
    with_suspects = [together for together in seen if together & suspects]
    assert len(with_suspects) == 5
    assert all(len(together) == 1 for together in with_suspects)
    assert any(len(together) > 1 for together in seen), "the others go out together"


async def test_r22_what_is_to_be_sent_alone_waits_for_a_slow_answer_but_stops_no_other(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("services.step_executor.loops.send_deliveries._PATIENCE_SECONDS", 0.3)
    keys = await executor.crowd(8)
    dead, living = a_sender(), a_sender(deliveries_at_once=2)
    (suspect,) = await dead.claim(1)
    await living.look_for(LEASE_SECONDS)
    slow = next(number for number in range(8) if keys[number] != suspect.claimed.key)
    mail_server.against[f"<{100 + slow}@example.com>"] = HANG
    await _let_be_first(executor, keys[slow], suspect.claimed.key)
    async with running(living):
        await eventually(lambda: len(mail_server.messages) == 6, "the others", 10)
        rows = {row["membership_id"]: row for row in await executor.deliveries()}
        mail_server.hang_up()
    waiting = rows[suspect.claimed.key.membership_id]
    assert (waiting["status"], waiting["attempt"], waiting["takeovers"]) == ("later", 1, 1), (
        "its one attempt is the dead one's"
    )


async def test_r22_nothing_is_begun_beside_the_last_that_is_sent_alone(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    keys = await executor.crowd(8)
    dead, living = a_sender(), a_sender(deliveries_at_once=2)
    (suspect,) = await dead.claim(1)
    await living.look_for(LEASE_SECONDS)
    place = keys.index(suspect.claimed.key)
    mail_server.against[f"<{100 + place}@example.com>"] = HANG
    await _let_be_first(executor, suspect.claimed.key)
    async with running(living):
        await eventually(lambda: _tried(mail_server, place), "it to be tried")
        begun = mail_server.count("RCPT")
        with pytest.raises(AssertionError):
            await eventually(lambda: mail_server.count("RCPT") > begun, "another", 1)
        mail_server.against.clear()
        mail_server.hang_up()
        await eventually(lambda: len(mail_server.messages) == 8, "all mails")


def _tried(mail_server: SmtpServerFake, place: int) -> bool:
    return f"RCPT TO:<{100 + place}@example.com>" in mail_server.said


async def _let_be_first(executor: Executor, *keys: deliveries.DeliveryKey) -> None:
    for number, key in enumerate(reversed(keys), 1):
        await executor.pool.execute(
            "UPDATE delivery SET next_attempt_at = now() - $2 * interval '1 hour' "
            "WHERE membership_id = $1",
            key.membership_id, float(number),
        )  # fmt: skip


async def test_r22_the_third_sender_that_dies_of_it_is_the_last(
    executor: Executor, a_sender: SenderMaker
) -> None:
    await executor.mailing()
    watching = a_sender()
    for takeovers in range(TAKEOVERS_AT_MOST + 1):
        (job,) = await a_sender().claim()
        assert job.claimed.takeovers == takeovers
        await watching.look_for(LEASE_SECONDS)
    (row,) = await executor.deliveries()
    assert (row["status"], row["outcome"], row["reason"]) == ("settled", "failed", "senders_died")
    assert await watching.claim() == []
    owner = OwnerFake(executor.pool, [0])
    await owner.run_as_owner(executor.recording.of_others)
    (member,) = await executor.live()
    assert member["step_id"] == "wait-3-days", "the run goes on without it"


async def test_a_deploy_repeats_nothing_though_one_mail_is_slow(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake
) -> None:
    """Told to stop, a sender records what was sent at once, keeps its lease, and gives it up."""
    await executor.crowd(8)
    sender = a_sender(smtp_data_timeout_seconds=600.0)
    mail_server.answer("MESSAGE", HANG)
    stopping = asyncio.Event()
    whole = asyncio.create_task(sender.whole.run(stopping))
    await eventually(lambda: len(mail_server.messages) == 8, "all mails")
    stopping.set()
    await eventually(lambda: _settled(executor, 7), "what was sent to be recorded", 10)
    beats = (await senders.heartbeats(executor.pool))[sender.lease.token].beats
    await eventually(lambda: _beats_more(executor, sender, beats), "the lease to go on", 10)
    assert not whole.done()
    mail_server.hang_up()
    await asyncio.wait_for(whole, 10)
    assert await senders.heartbeats(executor.pool) == {}
    assert await executor.statuses() == ["later"] + 7 * ["settled"]


async def _settled(executor: Executor, count: int) -> bool:
    return (await executor.statuses()).count("settled") == count


async def _beats_more(executor: Executor, sender: Sender, than: int) -> bool:
    return (await senders.heartbeats(executor.pool))[sender.lease.token].beats > than


async def test_a_lease_is_not_given_up_with_something_in_hand(
    executor: Executor, a_sender: SenderMaker
) -> None:
    key = await executor.mailing()
    sender = a_sender()
    await sender.claim()
    await sender.keeping.leave()
    assert list(await senders.heartbeats(executor.pool)) == [sender.lease.token]
    sender.results.add(sender.lease.token, GivenBack(key, 0.0))
    await sender.results.record()
    await sender.keeping.leave()
    assert await senders.heartbeats(executor.pool) == {}


async def test_a_claim_whose_answer_was_lost_is_given_back(
    executor: Executor, a_sender: SenderMaker, mail_server: SmtpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It was committed: under a living lease nobody else would ever take it over."""
    await executor.crowd(3)
    sender = a_sender()
    claim = sender.claims.claim

    async def loses_its_answer(token: UUID, at_most: int) -> None:
        await claim(token, at_most)
        monkeypatch.setattr(sender.claims, "claim", claim)
        raise ConnectionResetError("the connection is lost")

    monkeypatch.setattr(sender.claims, "claim", loses_its_answer)
    monkeypatch.setattr("services.step_executor.loops.send_deliveries._LOOK_FOR_LOST_SECONDS", 0.1)
    async with running(sender):
        await eventually(lambda: len(mail_server.messages) == 3, "all mails", 20)
    assert {row["attempt"] for row in await executor.deliveries()} == {1}
