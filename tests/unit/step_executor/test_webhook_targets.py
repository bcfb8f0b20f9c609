"""Which hosts can be reached, and who may have how much."""

from dataclasses import replace
from uuid import UUID

from services.step_executor.deliveries.webhook.answers import Answer
from services.step_executor.deliveries.webhook.targets import WebhookTargets
from services.step_executor.store.deliveries import Claimed, DeliveryKey, Lane
from tests.support.sending import HandClock
from tests.unit.step_executor.test_webhook_payload import CLAIMED

ONE, OTHER = UUID(int=1), UUID(int=2)
SHARED = "hooks.example:443"
UNREACHABLE, SENT = Answer("unreachable", "x"), Answer("sent", "200")
BUSY, FAULT = Answer("retry", "503", busy=True), Answer("retry", "500")
SILENT = Answer("ambiguous", "no answer", busy=True)


def targets(clock: HandClock | None = None) -> WebhookTargets:
    return WebhookTargets(per_host=8, per_workspace=32, clock=clock or HandClock())


def a_claim(lane: Lane, number: int = 0) -> Claimed:
    key = DeliveryKey(UUID(int=number), 1)
    return replace(CLAIMED, key=key, workspace_id=lane.workspace_id, target=lane.target)


def test_workspaces_share_alike_however_many_hosts_each_has() -> None:
    many = [Lane(ONE, f"h{number}:443") for number in range(40)]
    few = [Lane(OTHER, SHARED), Lane(OTHER, "b:443"), Lane(OTHER, "c:443")]
    shares = targets().shares([*many, *few], 40)
    assert sum(share for lane, share in shares.items() if lane.workspace_id == ONE) == 20
    assert sorted(shares[lane] for lane in few) == [6, 7, 7]


def test_a_host_has_a_limit_over_all_workspaces() -> None:
    some = targets()
    lanes = [Lane(ONE, SHARED), Lane(OTHER, SHARED)]
    assert some.shares(lanes, 64) == {lanes[0]: 4, lanes[1]: 4}
    for _ in range(7):
        some.began(lanes[0])
    assert some.shares(lanes, 64) == {lanes[0]: 1}
    some.began(lanes[0])
    assert some.shares(lanes, 64) == {}
    for _ in range(8):
        some.ended(lanes[0])
    assert some.shares(lanes[1:], 64) == {lanes[1]: 8}


def test_a_workspace_has_a_limit_over_all_hosts() -> None:
    some = targets()
    lanes = [Lane(ONE, f"h{number}:443") for number in range(8)]
    assert sum(some.shares(lanes, 64).values()) == 32


def test_r24_a_host_that_is_down_is_probed_once_for_all_workspaces() -> None:
    clock = HandClock()
    some = targets(clock)
    lanes = [Lane(ONE, SHARED), Lane(OTHER, SHARED), Lane(OTHER, "up:443")]
    some.note(a_claim(lanes[0]), UNREACHABLE)
    assert [some.is_down(one) for one in lanes] == [True, True, False]
    assert some.shares(lanes, 64) == {lanes[2]: 8}
    assert some.is_blocked(lanes[0])
    clock.pass_by(1)
    assert sum(some.shares(lanes[:2], 64).values()) == 1
    some.began(lanes[1])
    assert some.shares(lanes[:2], 64) == {}, "it is being probed"
    some.ended(lanes[1])
    some.note(a_claim(lanes[1]), SENT)
    assert not some.is_down(lanes[0])
    assert sum(some.shares(lanes[:2], 64).values()) == 8


def test_r24_a_host_that_answers_one_workspace_badly_is_down_for_that_one() -> None:
    some = targets()
    lanes = [Lane(ONE, SHARED), Lane(OTHER, SHARED)]
    for number, answer in enumerate([BUSY, SILENT, BUSY]):
        assert not some.is_down(lanes[0])
        some.note(a_claim(lanes[0], number), answer)
    assert [some.is_down(one) for one in lanes] == [True, False]
    assert some.shares(lanes, 64) == {lanes[1]: 8}


def test_one_webhook_a_host_does_not_bear_stops_no_other() -> None:
    some = targets()
    lane = Lane(ONE, SHARED)
    for _ in range(5):
        some.note(a_claim(lane, 7), SILENT)
    for number in range(5):
        some.note(a_claim(lane, number), FAULT)
    assert not some.is_down(lane)


def test_what_we_refuse_ourselves_says_nothing_of_the_host() -> None:
    some = targets()
    lane = Lane(ONE, SHARED)
    some.note(a_claim(lane), UNREACHABLE)
    some.note(a_claim(lane), Answer("failed", "address_not_public"))
    assert some.is_down(lane)
    some.note(a_claim(lane), Answer("failed", "404"))
    assert not some.is_down(lane)


def test_hosts_in_trouble_are_forgotten_beyond_a_number() -> None:
    some = targets()
    for number in range(10_001):
        some.note(a_claim(Lane(ONE, f"h{number}:443")), UNREACHABLE)
    assert not some.is_down(Lane(ONE, "h0:443"))
    assert some.is_down(Lane(ONE, "h10000:443"))
