"""Pausing stops new work without dropping anyone."""

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.support.scenes import Json, Scene
from tests.support.waiting import wait_until

STEPS: list[Json] = [
    {"step_id": "wait", "type": "wait", "duration_amount": 6, "duration_unit": "hours",
     "next_step_id": "send"},
    {"step_id": "send", "type": "send_email"},
]  # fmt: skip


def test_due_timers_park_and_go_on_after_reactivation(outside: Outside, stack: Stack) -> None:
    scene = Scene(outside, [dict(step) for step in STEPS]).activate()
    contact_id = scene.enter(1)
    scene.wait_for(waiting_count=1)
    scene.pause()
    due = scene.members()[0]["waiting_until"]
    other = Scene(outside, [dict(step) for step in STEPS]).activate()
    other.enter(1)
    other.wait_for(completed_count=1)  # its wait ended later than ours
    assert stack.clock.now().isoformat() > due
    assert scene.mails() == []
    assert scene.details()["waiting_count"] == 1
    scene.activate()
    scene.wait_for(completed_count=1)
    assert len(scene.mails()) == 1
    assert [one["type"] for one in scene.timeline_of(contact_id)][-1] == "completed"


def test_a_paused_flow_enrolls_nobody(outside: Outside) -> None:
    scene = Scene(outside).activate()
    scene.pause()
    contact_id = scene.enter(1)
    marker = Scene(outside).activate()
    outside.publish("list.contact_added", contact_id, {"list_id": marker.list_id})
    marker.wait_for(completed_count=1)  # the same contact's next event has been dealt with
    assert scene.details()["total_entered"] == 0


def test_archiving_ends_members(outside: Outside) -> None:
    steps = [{"step_id": "w", "type": "wait", "duration_amount": 700, "duration_unit": "days"}]
    scene = Scene(outside, steps).activate()
    scene.enter(1)
    scene.wait_for(waiting_count=1)
    scene.pause()
    outside.call("POST", f"/v1/email-flows/{scene.flow_id}/archive")
    scene.wait_for(dropped_count=1, waiting_count=0)
    assert scene.members()[0]["drop_reason"] == "flow_archived"
    wait_until(lambda: outside.flow(scene.flow_id)["status"] == "archived", "the status")
