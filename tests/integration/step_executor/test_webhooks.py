"""From a planned webhook to its result: whatever happens on the way, over real HTTP."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.chassis import failpoints
from libs.contracts.contact_events import ContactUpdated, FormSubmitted
from libs.contracts.membership_events import MembershipChanged
from libs.contracts.step_commands import ADAPTER as STEP_COMMANDS
from libs.contracts.step_commands import Remove
from services.step_executor.deliveries.make_delivery import AMBIGUOUS
from services.step_executor.deliveries.webhook.answers import RETRY_SECONDS
from services.step_executor.deliveries.webhook.caller import MAX_ANSWER_BYTES
from services.step_executor.store.deliveries import DeliveryKey, GivenBack, Job, Result
from services.step_executor.use_cases.enroll import EnrollRequest
from tests.integration.step_executor.conftest import SenderMaker
from tests.support.builders import CONTACT, FLOW, NOW, WORKSPACE, a_flow
from tests.support.executor import (
    Executor,
    cloud,
    created,
    enroll,
    envelope,
    observed,
    of,
    timeline_of,
)
from tests.support.http_server import DRIP, DROP, HANG, HUGE, HttpServerFake, http_server
from tests.support.sending import LEASE_SECONDS, OwnerFake, Sender, running
from tests.support.smtp_server import SmtpServerFake
from tests.support.waiting import eventually

LOOPBACK = "127.0.0.0/8"
REST = {"step_id": "rest", "type": "wait", "duration_amount": 1, "duration_unit": "days"}
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks/token-AbCdEf"


@pytest.fixture
async def address() -> AsyncIterator[HttpServerFake]:
    async with http_server() as fake:
        yield fake


@pytest.fixture
def a_caller(a_sender: SenderMaker) -> SenderMaker:
    """Make sending processes that may call loopback."""

    def make(owner: OwnerFake | None = None, **changes: Any) -> Sender:
        return a_sender(owner, **{"webhook_allowed": LOOPBACK, **changes})

    return make


async def calling(executor: Executor, port: int, **changes: Any) -> None:
    """Let the flow call an address at its first step."""
    hook = {"step_id": "call", "type": "send_webhook", "edges": {"next": "rest"},
            "url": f"http://hooks.example:{port}/in", **changes}  # fmt: skip
    await executor.define(a_flow([hook, REST], version=2))


async def entered(
    executor: Executor, contact: UUID = CONTACT, workspace: UUID = WORKSPACE
) -> DeliveryKey:
    return await executor.mailing(contact, workspace)


async def call_one(sender: Sender) -> Result | GivenBack:
    """Claim one webhook, make an attempt, record it."""
    (job,) = await claim(sender, 1)
    return await attempt(sender, job)


async def claim(sender: Sender, at_most: int = 64) -> list[Job]:
    await sender.keeping.beat()
    return await sender.webhook_claims.claim(sender.lease.token, at_most, sender.targets)


async def attempt(sender: Sender, job: Job) -> Result | GivenBack:
    outcome = await sender.make_webhook.make(job)
    sender.results.add(job.token, outcome)
    await sender.results.record()
    return outcome


async def take(executor: Executor) -> list[Any]:
    owner = OwnerFake(executor.pool, [0])
    await owner.run_as_owner(executor.recording.of_others)
    return owner.said


async def outcome_of(executor: Executor) -> tuple[Any, ...]:
    (row,) = await executor.deliveries()
    return row["status"], row["outcome"], row["reason"]


# What is said ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "put"])
async def test_an_address_is_told_and_the_run_goes_on(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, method: str
) -> None:
    await calling(executor, address.port, method=method, custom_fields={"hi": "{{contact.email}}"})
    key = await entered(executor)
    await call_one(a_caller())
    (asked,) = address.requests
    assert (asked.method, asked.target) == (method.upper(), "/in")
    assert asked.headers["host"] == f"hooks.example:{address.port}", "the name, not the address"
    assert asked.headers["idempotency-key"] == f"{key.membership_id}:{key.hop}"
    assert asked.headers["user-agent"] == "Millrace"
    assert asked.headers["content-type"] == "application/json"
    assert "authorization" not in asked.headers
    told = json.loads(asked.body)
    assert (told["nodeId"], told["contact"]["email"], told["hi"]) == ("call", "a@b.c", "a@b.c")
    said = await take(executor)
    assert [one.kind for one in timeline_of(said)] == ["webhook_sent", "step_executed", "waiting"]
    (member,) = await executor.live()
    assert member["step_id"] == "rest"
    (ended,) = await executor.ended_deliveries()
    assert (ended["channel"], ended["outcome"]) == ("webhook", "sent")


async def test_get_tells_in_the_query(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    url = f"http://hooks.example:{address.port}/in?own=1"
    await calling(executor, address.port, method="get", url=url)
    await entered(executor)
    await call_one(a_caller())
    (asked,) = address.requests
    assert asked.method == "GET"
    assert asked.target.startswith("/in?own=1&event=flow_step&")
    assert asked.body == b""
    assert "content-type" not in asked.headers


async def test_a_query_that_is_too_long_fails_before_anything_is_said(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port, method="get", custom_fields={"x": 9000 * "x"})
    await entered(executor)
    await call_one(a_caller())
    assert await outcome_of(executor) == ("settled", "failed", "query_too_large")
    assert address.requests == []


async def test_a_run_that_a_form_began_tells_what_it_said_for_as_long_as_it_lasts(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    said = {"tent_id": str(UUID(int=5)), "form_id": "signup", "fields": {"size": "S"}}
    event = FormSubmitted.model_validate({**cloud(), "data": said})
    await executor.act(created(), observed(event, a_flow()))
    await call_one(a_caller())
    told = json.loads(address.requests[0].body)
    assert (told["formData"], told["formId"]) == ({"size": "S"}, "signup")
    assert await executor.pool.fetchval("SELECT count(*) FROM membership_entry") == 1
    await executor.act(Remove(**envelope(), flow_id=FLOW, min_flow_version=1))
    assert await executor.pool.fetchval("SELECT count(*) FROM membership_entry") == 0


async def test_r10_a_start_that_is_replayed_still_knows_its_form(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    said = {"tent_id": str(UUID(int=5)), "form_id": "signup", "fields": {"size": "S"}}
    event = FormSubmitted.model_validate({**cloud(), "data": said})
    observe = observed(event, a_flow())
    replayed = EnrollRequest.of_start(observe, observe.starts[0]).as_command(NOW)
    read = STEP_COMMANDS.validate_json(replayed.model_dump_json())
    await executor.act(created(), read)
    await call_one(a_caller())
    assert json.loads(address.requests[0].body)["formData"] == {"size": "S"}


async def test_consent_is_about_messages_and_not_about_webhooks(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    gone = {"unsubscribed": True, "email": None}
    event = ContactUpdated.model_validate({**cloud(), "data": {"fields": gone}})
    await executor.act(observed(event))
    await executor.pool.execute("DELETE FROM partition_lag")
    async with running(a_caller()):
        await eventually(lambda: len(address.requests) == 1, "the call")


# Tokens ------------------------------------------------------------------------------------------


async def test_a_token_goes_out_as_bearer_and_nowhere_else(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    jwt = {"auth": "jwt", "token": "geheim.token"}
    await calling(executor, address.port, **jwt)
    await entered(executor)
    caplog.set_level(logging.DEBUG)
    address.answer("500 Oh", DROP, "404 No")
    sender = a_caller()
    for _ in range(3):
        await call_one(sender)
        await executor.time_for_retries()
    assert [one.headers["authorization"] for one in address.requests] == 3 * ["Bearer geheim.token"]
    said = await take(executor)
    kept = [await executor.pool.fetchval(f"SELECT jsonb_agg({table})::text FROM {table}")  # noqa: S608  (a name of ours)
            for table in ("delivery", "ended_delivery", "membership")]  # fmt: skip
    shown = [caplog.text, *capsys.readouterr(), repr(sender), *map(repr, said), *map(str, kept)]
    assert not [one for one in shown if "geheim" in one]


async def test_a_secret_is_looked_up_at_each_attempt_and_only_for_its_workspace(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, tmp_path: Path
) -> None:
    await calling(executor, address.port, auth="jwt", secret_arn=ARN)
    await entered(executor)
    other = tmp_path / str(UUID(int=99))
    mine = tmp_path / str(WORKSPACE)
    for folder in (other, mine):
        folder.mkdir()
    (other / "hooks_token-AbCdEf").write_text("another's")
    sender = a_caller(webhook_secrets_folder=tmp_path)
    assert isinstance(await call_one(sender), GivenBack)
    assert address.requests == []
    (mine / "hooks_token-AbCdEf").write_text("mine\n")
    await executor.time_for_retries()
    await call_one(sender)
    assert [one.headers["authorization"] for one in address.requests] == ["Bearer mine"]


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ({"secret_arn": ARN}, "no_secret_provider"),
        ({"token": "a\r\nX: y"}, "token_malformed"),
        ({}, "token_malformed"),
    ],
)
async def test_without_a_token_nothing_is_said(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake,
    auth: dict[str, str], reason: str,
) -> None:  # fmt: skip
    await calling(executor, address.port, auth="jwt", **auth)
    await entered(executor)
    await call_one(a_caller())
    assert await outcome_of(executor) == ("settled", "failed", reason)
    assert address.requests == []


@pytest.mark.parametrize("name", ["..", "../x", "arn:aws:secretsmanager:r:1:secret:../x", ""])
async def test_a_secrets_name_leads_out_of_no_folder(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, tmp_path: Path, name: str
) -> None:
    (tmp_path / "x").write_text("another's")
    await calling(executor, address.port, auth="jwt", secret_arn=name)
    await entered(executor)
    assert isinstance(await call_one(a_caller(webhook_secrets_folder=tmp_path)), GivenBack)
    assert address.requests == []


# Answers -----------------------------------------------------------------------------------------


async def test_a_fault_is_tried_again_under_the_same_key(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    address.answer("500 Oh")
    sender = a_caller()
    given = await call_one(sender)
    assert isinstance(given, GivenBack)
    assert (given.attempted, given.ambiguous, given.rendered) == (True, False, None)
    (row,) = await executor.deliveries()
    wait = row["next_attempt_at"] - row["claimed_at"]
    assert (row["status"], wait) == ("later", timedelta(seconds=RETRY_SECONDS[0]))
    await executor.time_for_retries()
    await call_one(sender)
    assert (await outcome_of(executor))[1] == "sent"
    assert len({one.headers["idempotency-key"] for one in address.requests}) == 1
    assert len(address.requests) == 2


async def test_retry_after_is_obeyed(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    address.answer("429 Slow\r\nRetry-After: 1800")
    await call_one(a_caller())
    (row,) = await executor.deliveries()
    assert row["next_attempt_at"] - row["claimed_at"] == timedelta(seconds=1800)


@pytest.mark.parametrize("on_failure", ["continue", "drop"])
async def test_attempts_are_limited_and_then_the_author_has_the_word(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, on_failure: str
) -> None:
    await calling(executor, address.port, on_failure=on_failure)
    await entered(executor)
    address.against["/in"] = "500 Oh"
    sender = a_caller()
    for _ in range(5):
        await executor.time_for_retries()
        await call_one(sender)
    assert await outcome_of(executor) == ("settled", "failed", "500")
    (changed,) = of(MembershipChanged, await take(executor))
    assert (changed.timeline[0].kind, changed.timeline[0].details) == (
        "step_failed",
        {"reason": "500"},
    )
    if on_failure == "drop":
        assert changed.membership.drop_reason == "step_failed"
    else:
        assert changed.membership.current_step_id == "rest"


@pytest.mark.parametrize("status", ["404 No", "301 Moved\r\nLocation: /other"])
async def test_a_refusal_for_good_fails_at_once(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, status: str
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    address.answer(status)
    await call_one(a_caller())
    assert await outcome_of(executor) == ("settled", "failed", status[:3])
    assert len(address.requests) == 1


async def test_a_redirect_is_not_followed_to_where_nobody_judged(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    async with http_server() as inner:
        await calling(executor, address.port)
        await entered(executor)
        address.answer(f"307 Go\r\nLocation: http://127.0.0.1:{inner.port}/")
        await call_one(a_caller())
        assert await outcome_of(executor) == ("settled", "failed", "307")
        assert inner.connections == 0


@pytest.mark.parametrize("trouble", [DROP, HANG])
async def test_without_an_answer_the_same_is_said_again(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, trouble: str
) -> None:
    """It may have arrived: counted, and repeated as it was, though the contact has changed."""
    await calling(executor, address.port)
    await entered(executor)
    address.answer(trouble)
    sender = a_caller(webhook_timeout_seconds=0.5)
    before = AMBIGUOUS._value.get()  # noqa: SLF001  (the library has no other way)
    given = await call_one(sender)
    assert isinstance(given, GivenBack)
    assert (given.ambiguous, given.attempted) == (True, True)
    assert AMBIGUOUS._value.get() - before == 1  # noqa: SLF001
    event = ContactUpdated.model_validate({**cloud(), "data": {"fields": {"firstName": "New"}}})
    await executor.act(observed(event))
    await executor.time_for_retries()
    await call_one(sender)
    first, second = address.requests
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    (row,) = await executor.deliveries()
    assert (row["outcome"], row["message"], row["ambiguous"]) == ("sent", None, 1)


@pytest.mark.parametrize("answer", [HUGE, DRIP])
async def test_of_an_answer_without_end_some_is_read_and_it_counts(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, answer: str
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    address.answer(answer)
    outcome = await call_one(a_caller(webhook_timeout_seconds=2.0))
    assert isinstance(outcome, Result)
    assert outcome.outcome == "sent"
    await eventually(lambda: address.gone == 1, "the connection to be closed")
    assert address.sent_bytes < 100 * MAX_ANSWER_BYTES


async def test_what_cannot_be_reached_is_tried_again_and_nothing_was_handed_over(
    executor: Executor, a_caller: SenderMaker
) -> None:
    await calling(executor, free_port())
    await entered(executor)
    given = await call_one(a_caller())
    assert isinstance(given, GivenBack)
    assert (given.attempted, given.ambiguous) == (True, False)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_connections_are_used_again(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await executor.crowd(3)
    sender = a_caller()
    for _ in range(3):
        await call_one(sender)
    assert (len(address.requests), address.connections) == (3, 1)


# Where to ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/", "address_not_public"),
        ("http://[::ffff:127.0.0.1]:{port}/", "address_not_public"),
        ("http://localhost:{port}/", "host_not_public"),
        ("http://user:pass@hooks.example:{port}/", "url_with_credentials"),
        ("ftp://hooks.example:{port}/", "url_not_http"),
        ("nonsense", "url_not_http"),
    ],
)
async def test_where_a_webhook_may_not_go_it_does_not_go(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, url: str, reason: str
) -> None:
    await calling(executor, address.port, url=url.format(port=address.port))
    await entered(executor)
    await call_one(a_caller(webhook_allowed=""))
    assert await outcome_of(executor) == ("settled", "failed", reason)
    assert address.connections == 0


async def test_a_name_that_stands_for_a_private_address_by_now_is_not_called(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """DNS rebinding: public when it was looked at first, private when it is connected to."""
    await calling(executor, address.port)
    await entered(executor)
    sender = a_caller(webhook_allowed="")
    answers = [["8.8.8.8"], ["127.0.0.1"]]
    asked: list[str] = []

    async def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    monkeypatch.setattr(sender.network, "_resolve", rebinding)
    assert await rebinding("hooks.example", 80) == ["8.8.8.8"], "so it was when it was written"
    await call_one(sender)
    assert await outcome_of(executor) == ("settled", "failed", "address_not_public")
    assert asked == 2 * ["hooks.example"], "it is looked up once, and nobody looks it up again"
    assert address.connections == 0


async def test_of_several_addresses_only_public_ones_are_called(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    sender = a_caller(webhook_allowed="127.0.0.1")
    sender.names["hooks.example"] = ["10.0.0.1", "169.254.169.254", "127.0.0.2", "127.0.0.1"]
    await call_one(sender)
    assert (await outcome_of(executor))[1] == "sent"


async def test_a_host_that_an_operator_names_is_called_wherever_it_is(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    url = f"http://hooks.internal:{address.port}/"
    await calling(executor, address.port, url=url)
    await entered(executor)
    await call_one(a_caller(webhook_allowed="hooks.internal"))
    assert (await outcome_of(executor))[1] == "sent"


# Senders -----------------------------------------------------------------------------------------


async def test_a_webhook_is_claimed_by_one_of_two_senders(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    keys = await executor.crowd(30)
    async with running(a_caller(), a_caller()):
        await eventually(lambda: _all_settled(executor, 30), "all results")
    said = [one.headers["idempotency-key"] for one in address.requests]
    assert sorted(said) == sorted(f"{key.membership_id}:{key.hop}" for key in keys)


async def _all_settled(executor: Executor, count: int) -> bool:
    return (await executor.statuses()).count("settled") == count


async def test_r22_killed_between_call_and_record_it_is_counted_and_made_again_alone(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    dead, living = a_caller(), a_caller()
    (job,) = await claim(dead)
    await dead.make_webhook.make(job)  # and never recorded
    before = AMBIGUOUS._value.get()  # noqa: SLF001
    await living.look_for(LEASE_SECONDS)
    assert AMBIGUOUS._value.get() - before == 1  # noqa: SLF001
    async with running(living):
        await eventually(lambda: _all_settled(executor, 1), "the result")
    first, second = address.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    (row,) = await executor.deliveries()
    assert (row["outcome"], row["takeovers"]) == ("sent", 1)


async def test_r7_a_sender_whose_lease_has_run_out_calls_nobody(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    sender = a_caller()
    (job,) = await claim(sender)
    sender.clock.pass_by(LEASE_SECONDS + 1)
    assert await sender.make_webhook.make(job) == GivenBack(job.claimed.key, 0.0)
    assert address.requests == []


@pytest.mark.parametrize("when", ["before", "connected"])
async def test_r8_a_run_that_has_ended_calls_nobody(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake,
    monkeypatch: pytest.MonkeyPatch, when: str,
) -> None:  # fmt: skip
    await calling(executor, address.port)
    await entered(executor)
    sender = a_caller()
    (job,) = await claim(sender)
    confirm = sender.confirmations.confirm
    remove = Remove(**envelope(), flow_id=FLOW, min_flow_version=1)

    async def ends_first(token: UUID, key: DeliveryKey) -> bool:
        await executor.act(remove)
        return await confirm(token, key)

    if when == "before":
        await executor.act(remove)
    else:
        monkeypatch.setattr(sender.confirmations, "confirm", ends_first)
    await attempt(sender, job)
    assert address.requests == []
    assert await outcome_of(executor) == ("settled", "skipped", "membership_moved_on")


async def test_r8_ending_a_run_withdraws_its_webhook_and_erases_what_it_said(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    address.answer(DROP)
    await call_one(a_caller())
    (row,) = await executor.deliveries()
    assert row["message"]
    await executor.act(Remove(**envelope(), flow_id=FLOW, min_flow_version=1))
    assert await executor.deliveries() == []


async def test_r23_a_paused_flow_calls_nobody(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    await executor.pool.execute("UPDATE flow_definition SET status = 'paused'")
    async with running(a_caller()):
        await eventually(lambda: _is(executor, "later"), "it to be given back")
    assert address.requests == []


async def _is(executor: Executor, status: str) -> bool:
    return await executor.statuses() == [status]


async def test_the_newest_definition_says_where_to(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    """A wrong address is put right while contacts stand before it."""
    await calling(executor, free_port())
    await entered(executor)
    sender = a_caller()
    await call_one(sender)
    url = f"http://hooks.example:{address.port}/right"
    hook = {"step_id": "call", "type": "send_webhook", "url": url}
    await executor.define(a_flow([hook], version=3))
    await executor.time_for_retries()
    sender.target_clock.pass_by(2)
    await call_one(sender)
    assert [one.target for one in address.requests] == ["/right"]


async def test_a_step_that_is_no_more_fails(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    await executor.define(a_flow([REST], version=3))
    await call_one(a_caller())
    assert await outcome_of(executor) == ("settled", "failed", "step_removed")


async def test_every_crash_point_of_the_way_is_reached_once(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    async with running(a_caller()):
        await eventually(lambda: _all_settled(executor, 1), "the result")
    points = ("after_claim", "before_send", "after_send", "after_recording")
    assert {point: failpoints.hits[point] for point in points} == dict.fromkeys(points, 1)


# Hosts that are down -----------------------------------------------------------------------------


async def other_flow(executor: Executor, port: int, number: int) -> UUID:
    """A flow of another workspace that calls another address; a contact stands there."""
    workspace = UUID(int=number)
    hook = {"step_id": "call", "type": "send_webhook", "url": f"http://other.example:{port}/o"}
    flow = a_flow([hook], flow_id=UUID(int=1000 + number), workspace_id=workspace, version=2)
    await executor.define(flow)
    contact = UUID(int=2000 + number)
    await executor.act(
        created(contact, workspace),
        enroll(contact, workspace=workspace, flow_id=flow.flow_id, source="o"),
    )
    return workspace


async def versions(executor: Executor) -> dict[UUID, Any]:
    rows = await executor.pool.fetch("SELECT membership_id, xmin::text FROM delivery")
    return {row["membership_id"]: row["xmin"] for row in rows}


async def test_r24_while_a_host_is_down_one_row_probes_it_and_others_are_served(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    port = free_port()
    await calling(executor, port)
    await executor.crowd(100)
    sender = a_caller()
    async with running(sender):
        await eventually(lambda: bool(sender.targets._troubled), "it to be known as down")  # noqa: SLF001
        await eventually(lambda: _none_claimed(executor), "what was under way to end")
        before = await versions(executor)
        await other_flow(executor, address.port, 50)
        await eventually(lambda: len(address.requests) == 1, "the other's webhook")
        sender.target_clock.pass_by(31)
        await eventually(lambda: _changed(executor, before, 1), "a probe")
        await eventually(lambda: _none_claimed(executor), "the probe to end")
        seen = await changed(executor, before)
        sender.target_clock.pass_by(0.5)
        await other_flow(executor, address.port, 51)
        await eventually(lambda: len(address.requests) == 2, "another's webhook")
        assert await changed(executor, before) == seen, "one row, and no other"
        async with http_server(port) as back:
            sender.target_clock.pass_by(61)
            await eventually(lambda: len(back.requests) >= 80, "all that was not tried before")
            assert back.most_at_once <= 8


async def _none_claimed(executor: Executor) -> bool:
    return "claimed" not in await executor.statuses()


async def changed(executor: Executor, before: dict[UUID, Any]) -> set[UUID]:
    now = await versions(executor)
    return {one for one, version in before.items() if now.get(one) != version}


async def _changed(executor: Executor, before: dict[UUID, Any], count: int) -> bool:
    return len(await changed(executor, before)) == count


async def test_a_host_that_hangs_holds_up_neither_mails_nor_other_hosts(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake, mail_server: SmtpServerFake
) -> None:
    async with http_server() as hanging:
        hanging.against["/in"] = HANG
        await calling(executor, hanging.port)
        await executor.crowd(50)
        sender = a_caller(webhook_timeout_seconds=14.0, deliveries_at_once=4)
        async with running(sender):
            await eventually(lambda: len(hanging.requests) == 8, "as many as one host may have")
            await other_flow(executor, address.port, 50)
            await executor.define(a_flow(flow_id=UUID(int=7), version=2))
            contacts = [UUID(int=3000 + number) for number in range(10)]
            await executor.act(*(created(one, email=f"{one.int}@example.com") for one in contacts))
            await executor.act(*(enroll(one, flow_id=UUID(int=7)) for one in contacts))
            await eventually(lambda: len(address.requests) == 1, "the other host's", 10)
            await eventually(lambda: len(mail_server.messages) == 10, "the mails", 10)
            assert hanging.at_once == len(hanging.requests) == 8, "and none of them has ended"
            hanging.hang_up()


async def test_a_mail_server_that_is_down_holds_up_no_webhook(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await executor.crowd(20)
    await other_flow(executor, address.port, 50)
    sender = a_caller(port=free_port())
    async with running(sender):
        await eventually(lambda: sender.target.is_down, "the mail server to be known as down")
        await eventually(lambda: len(address.requests) == 1, "the webhook")
        await other_flow(executor, address.port, 51)
        await eventually(lambda: len(address.requests) == 2, "another one")


async def test_what_waits_an_hour_for_a_host_that_is_down_fails_and_goes_on(
    executor: Executor, a_caller: SenderMaker
) -> None:
    await calling(executor, free_port())
    await executor.crowd(20)
    sender = a_caller()
    await call_one(sender)
    await executor.pool.execute(
        "UPDATE delivery SET next_attempt_at = now() - interval '61 minutes' "
        "WHERE membership_id IN "
        "(SELECT membership_id FROM delivery WHERE status = 'pending' LIMIT 15)"
    )
    assert await claim(sender) == []
    rows = await executor.deliveries()
    assert sorted(row["status"] for row in rows) == ["later"] + 4 * ["pending"] + 15 * ["settled"]
    failed = {(row["outcome"], row["reason"]) for row in rows if row["status"] == "settled"}
    assert failed == {("failed", "unreachable")}
    await take(executor)
    standing = [row["step_id"] for row in await executor.live()]
    assert sorted(standing) == 5 * ["call"] + 15 * ["rest"]


async def test_many_lanes_of_one_workspace_are_all_come_to(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    """More hosts than one look takes in, most of them down."""
    steps = [
        {"step_id": f"call-{number}", "type": "send_webhook",
         "url": f"http://h{number:02}.example:{address.port if number > 34 else 1}/"}
        for number in range(40)
    ]  # fmt: skip
    for number, step in enumerate(steps):
        await executor.define(a_flow([step], flow_id=UUID(int=500 + number), version=2))
    await executor.act(created())
    for number in range(40):
        await executor.act(enroll(flow_id=UUID(int=500 + number), source=str(number)))
    async with running(a_caller()):
        await eventually(lambda: len(address.requests) == 5, "those that are up", 20)


async def test_an_attempt_that_is_cancelled_leaves_its_claim(
    executor: Executor, a_caller: SenderMaker, address: HttpServerFake
) -> None:
    await calling(executor, address.port)
    await entered(executor)
    address.answer(HANG)
    sender = a_caller()
    (job,) = await claim(sender)
    attempting = asyncio.create_task(sender.make_webhook.make(job))
    await eventually(lambda: len(address.requests) == 1, "the call")
    attempting.cancel()
    await asyncio.wait([attempting])
    assert attempting.cancelled()
    assert await executor.statuses() == ["claimed"]
    await eventually(lambda: address.gone == 1, "the connection to be closed")
