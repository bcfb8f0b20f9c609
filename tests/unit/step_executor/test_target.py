"""Whether the mail server can be reached, and who may try."""

from services.step_executor.deliveries.target import Target


class HandClock:
    def __init__(self) -> None:
        self.now = 500.0

    def __call__(self) -> float:
        return self.now


def test_all_there_is_room_for_while_it_is_up() -> None:
    target = Target(HandClock())
    assert not target.is_down
    assert (target.room(64, 0), target.room(3, 61), target.room(0, 64)) == (64, 3, 0)


def test_down_one_probes_when_nothing_is_under_way_and_its_time_has_come() -> None:
    clock = HandClock()
    target = Target(clock)
    target.did_not_answer()
    assert target.is_down
    assert target.room(64, 0) == 0
    clock.now += 1
    assert target.room(64, 3) == 0
    assert target.room(64, 0) == 1


def test_each_probe_that_fails_makes_the_next_one_later() -> None:
    clock = HandClock()
    target, waits = Target(clock), []
    for _ in range(8):
        target.did_not_answer()
        began = clock.now
        while not target.room(1, 0):
            clock.now += 0.5
        waits.append(clock.now - began)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_those_that_were_under_way_already_count_once() -> None:
    clock = HandClock()
    target = Target(clock)
    for _ in range(64):
        target.did_not_answer()
    clock.now += 1
    assert target.room(64, 0) == 1


def test_one_answer_and_it_is_up() -> None:
    clock = HandClock()
    target = Target(clock)
    target.did_not_answer()
    target.answered()
    assert target.room(64, 0) == 64
    target.did_not_answer()
    clock.now += 1
    assert target.room(64, 0) == 1, "the waits begin anew"


def test_leaving_us_now_and_then_is_not_being_down() -> None:
    target = Target(HandClock())
    for _ in range(10):
        target.interrupted("one")
        target.interrupted("another")
        target.answered()
    assert not target.is_down


def test_leaving_us_over_one_mail_is_not_being_down() -> None:
    target = Target(HandClock())
    for _ in range(10):
        target.interrupted("one")
    assert not target.is_down


def test_leaving_us_over_several_mails_in_a_row_is_being_down() -> None:
    clock = HandClock()
    target = Target(clock)
    for mail in range(3):
        assert not target.is_down
        target.interrupted(mail)
    assert target.is_down
    clock.now += 1
    assert target.room(64, 0) == 1
    target.interrupted(0)
    assert target.room(64, 0) == 0, "a probe that fails so has failed"
    target.answered()
    assert not target.is_down
