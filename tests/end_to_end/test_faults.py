"""Processes die, mail servers refuse: nobody is lost, nobody is written to twice."""

import os
from collections import Counter
from pathlib import Path

import httpx
import pytest

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.support.scenes import Json, Scene
from tests.support.waiting import wait_until

MANY = int(os.environ.get("MILLRACE_TEST_ENROLLMENTS", "2000"))
WAIT_THEN_SEND: list[Json] = [
    {"step_id": "wait", "type": "wait", "duration_amount": 1, "duration_unit": "days",
     "next_step_id": "send"},
    {"step_id": "send", "type": "send_email"},
]  # fmt: skip


def everyone_got_exactly_one_mail(scene: Scene, number: int) -> None:
    got = Counter(mail["to"][0] for mail in scene.mails())
    assert got == {scene.address(one): 1 for one in range(number)}


def test_kill_9_of_the_executor_in_the_middle_of_many_enrollments(
    outside: Outside, stack: Stack
) -> None:
    scene = Scene(outside).activate()
    for number in range(MANY):
        scene.enter(number)
    outside.flush()
    wait_until(lambda: len(scene.mails()) >= MANY // 4, "a quarter of the mails")
    stack.services["step_executor"].kill()
    assert len(scene.mails()) < MANY, "it died in the middle"
    stack.restart("step_executor")
    scene.wait_for(completed_count=MANY)
    everyone_got_exactly_one_mail(scene, MANY)


@pytest.mark.parametrize(
    "point",
    [
        "after_claim@1",
        "before_send@5",
        "after_send@5",
        "after_recording@1",
        "after_commit@3",
        "mid_publish@3",
    ],
)
def test_the_executor_dies_at_a_named_point(
    outside: Outside, stack: Stack, tmp_path: Path, point: str
) -> None:
    executor = stack.services["step_executor"]
    log = tmp_path / "crashes"
    assert executor.terminate() == 0
    crashing = {"MILLRACE_CRASH_POINTS": point, "MILLRACE_CRASH_LOG": str(log)}
    executor.start(crashing)
    scene = Scene(outside)
    outside.call("POST", f"/v1/email-flows/{scene.flow_id}/activate")
    for number in range(20):
        scene.enter(number)
    outside.flush()
    assert executor.wait(60) == -9
    assert log.read_text() == f"{point}\n"
    stack.restart("step_executor")
    scene.wait_for(completed_count=20)
    everyone_got_exactly_one_mail(scene, 20)


def test_a_wait_survives_kill_9_of_scheduler_and_executor(outside: Outside, stack: Stack) -> None:
    scene = Scene(outside, [dict(step) for step in WAIT_THEN_SEND]).activate()
    for number in range(10):
        scene.enter(number)
    scene.wait_for(waiting_count=10)
    due = scene.members()[0]["waiting_until"]
    stack.services["scheduler"].kill()
    stack.services["step_executor"].kill()
    wait_until(lambda: stack.clock.now().isoformat() > due, "the wait to be over")
    assert scene.mails() == []
    stack.restart("scheduler")
    stack.restart("step_executor")
    scene.wait_for(completed_count=10)
    everyone_got_exactly_one_mail(scene, 10)


@pytest.mark.parametrize("name", ["trigger_matcher", "step_executor", "scheduler", "api"])
def test_sigterm_drains_and_nothing_is_lost(outside: Outside, stack: Stack, name: str) -> None:
    scene = Scene(outside).activate()
    for number in range(50):
        scene.enter(number)
    outside.flush()
    assert stack.services[name].terminate() == 0
    stack.restart(name)
    scene.wait_for(completed_count=50)
    everyone_got_exactly_one_mail(scene, 50)


def test_a_mail_server_that_refuses_for_now_is_tried_again(outside: Outside, stack: Stack) -> None:
    scene = Scene(outside).activate()
    fault = {"reply": "451 try later", "recipient": scene.address(0), "times": 2}
    httpx.put(f"{stack.mail_sink_url}/faults", json=fault).raise_for_status()
    scene.enter(0)
    scene.wait_for(completed_count=1)
    everyone_got_exactly_one_mail(scene, 1)


def test_a_mail_refused_for_good_does_not_strand_the_contact(
    outside: Outside, stack: Stack
) -> None:
    scene = Scene(outside).activate()
    fault = {"reply": "550 no such user", "recipient": scene.address(0), "times": 1}
    httpx.put(f"{stack.mail_sink_url}/faults", json=fault).raise_for_status()
    contact_id = scene.enter(0)
    scene.wait_for(completed_count=1)
    assert scene.mails() == []
    failed = [one for one in scene.timeline_of(contact_id) if one["type"] == "step_failed"]
    assert "550" in failed[0]["details"]["reason"]


def test_a_mail_server_that_is_down_is_waited_for(outside: Outside, stack: Stack) -> None:
    assert stack.mail_sink is not None
    scene = Scene(outside).activate()
    stack.mail_sink.terminate()
    scene.enter(0)
    scene.wait_for(active_count=1)
    stack.mail_sink.start()
    scene.wait_for(completed_count=1)
    everyone_got_exactly_one_mail(scene, 1)


def test_unsubscribing_stops_later_marketing_mail(outside: Outside) -> None:
    steps: list[Json] = [
        {"step_id": "first", "type": "send_email", "next_step_id": "wait"},
        {"step_id": "wait", "type": "wait", "duration_amount": 1, "duration_unit": "days",
         "next_step_id": "second"},
        {"step_id": "second", "type": "send_email"},
    ]  # fmt: skip
    scene = Scene(outside, steps).activate()
    contact_id = scene.enter(0)
    outside.flush()
    wait_until(lambda: len(scene.mails()) == 1, "the first mail")
    link = scene.mails()[0]["headers"]["List-Unsubscribe"].strip("<>")
    assert httpx.get(link).status_code == 200, "looking at the page unsubscribes nobody"
    assert httpx.post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    scene.wait_for(completed_count=1)
    kinds = [one["type"] for one in scene.timeline_of(contact_id)]
    assert "email_unsubscribed" in kinds
    assert "email_skipped" in kinds
    assert len(scene.mails()) == 1
