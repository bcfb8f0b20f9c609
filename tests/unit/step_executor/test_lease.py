"""A sender's own lease, and what it sees of the leases of others."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.step_executor.deliveries.lease import Lease, Watch, boot_time
from services.step_executor.store.senders import Heartbeat

SECONDS = 8.0
OTHER = UUID(int=7)


class HandClock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def beats(count: int, seconds: float = SECONDS) -> dict[UUID, Heartbeat]:
    return {OTHER: Heartbeat(count, seconds)}


def test_a_new_lease_does_not_hold_before_its_first_heartbeat() -> None:
    clock = HandClock()
    lease = Lease(SECONDS, clock)
    assert lease.has_run_out()
    token = lease.begin()
    assert not lease.holds(token)
    lease.prolong(lease.before_heartbeat())
    assert lease.holds(token)


def test_a_lease_counts_from_before_the_heartbeat_was_sent() -> None:
    clock = HandClock()
    lease = Lease(SECONDS, clock)
    sent_at = lease.before_heartbeat()
    clock.now += 5
    lease.prolong(sent_at)
    clock.now += 2.9
    assert lease.holds(lease.token)
    clock.now += 0.1
    assert lease.has_run_out()
    assert not lease.holds(lease.token)


def test_what_was_claimed_under_another_token_is_not_held() -> None:
    lease = Lease(SECONDS, HandClock())
    before = lease.token
    after = lease.begin()
    lease.prolong(lease.before_heartbeat())
    assert before != after
    assert (lease.holds(before), lease.holds(after), lease.holds(uuid4())) == (False, True, False)


def test_the_clock_of_leases_counts_sleep_too() -> None:
    assert boot_time() > 0
    assert boot_time() <= boot_time()


def test_who_stands_still_for_a_whole_lease_is_gone() -> None:
    clock = HandClock()
    watch = Watch(SECONDS, clock)
    for _ in range(4):
        assert watch.look(beats(3)) == []
        clock.now += SECONDS / 4
    assert watch.look(beats(3)) == [(OTHER, 3)]


def test_who_beats_begins_anew() -> None:
    clock = HandClock()
    watch = Watch(SECONDS, clock)
    for count in (3, 3, 3, 4, 4, 4, 4):
        assert watch.look(beats(count)) == []
        clock.now += SECONDS / 4
    assert watch.look(beats(4)) == [(OTHER, 4)]


def test_a_gap_between_two_looks_is_an_outage() -> None:
    clock = HandClock()
    watch = Watch(SECONDS, clock)
    watch.look(beats(3))
    clock.now += 60
    assert watch.look(beats(3)) == []
    for _ in range(3):
        clock.now += SECONDS / 4
        assert watch.look(beats(3)) == []
    clock.now += SECONDS / 4
    assert watch.look(beats(3)) == [(OTHER, 3)]


def test_what_was_seen_before_an_outage_is_forgotten() -> None:
    clock = HandClock()
    watch = Watch(SECONDS, clock)
    for _ in range(4):
        watch.look(beats(3))
        clock.now += SECONDS / 4
    watch.forget()
    assert watch.look(beats(3)) == []


def test_a_longer_lease_is_waited_out_and_a_shorter_one_too() -> None:
    for theirs, waited in ((40.0, 40.0), (2.0, SECONDS)):
        clock = HandClock()
        watch = Watch(SECONDS, clock)
        while not watch.look(beats(3, theirs)):
            clock.now += 1
        assert clock.now - 500.0 == waited


def test_who_has_left_is_not_remembered() -> None:
    clock = HandClock()
    watch = Watch(SECONDS, clock)
    watch.look(beats(3))
    clock.now += SECONDS / 4
    watch.look({})
    for _ in range(3):
        clock.now += SECONDS / 4
        assert watch.look(beats(3)) == []


STEP = st.tuples(st.floats(0, 30), st.booleans(), st.booleans())


@given(st.lists(STEP, max_size=60))
def test_r6_nobody_is_taken_over_who_was_not_seen_still_for_a_whole_lease(
    steps: list[tuple[float, bool, bool]],
) -> None:
    """Whatever the database does, and whenever the other beats: a law over all histories."""
    clock, count = HandClock(), 0
    watch = Watch(SECONDS, clock)
    still_since: float | None = None
    for passed, has_beaten, answers in steps:
        clock.now += passed
        if has_beaten:
            count, still_since = count + 1, None
        if not answers:
            watch.forget()
            still_since = None
            continue
        still_since = clock.now if still_since is None else still_since
        if watch.look(beats(count)):
            assert clock.now - still_since >= SECONDS
