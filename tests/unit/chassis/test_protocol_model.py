"""The exactly-once batch under every misfortune hypothesis can think of.

The real `Reader` runs on a pretended database, log and publisher (tests/support/protocol_world.py).
Whatever happens, after each step: every effect was applied at most once and in order, and readers
downstream, dropping repeats by number, have heard everything at most once and without a gap. After
all has been put right, everything was applied and heard exactly once.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from libs.chassis import failpoints
from libs.chassis.exactly_once.batch import Batches
from libs.chassis.exactly_once.isolation import Isolation
from libs.chassis.exactly_once.publishing import Publishing
from tests.support.protocol_world import Died, Process, World, heard, pretended

PARTITIONS = (0, 1)
PROCESSES = st.sampled_from((1, 2))
POINTS = st.sampled_from(
    (
        "before_transaction",
        "after_compare_and_set",
        "before_commit",
        "after_commit",
        "mid_publish",
        "after_acknowledgement",
    )
)


class Misfortunes(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.world = World(len(PARTITIONS))
        self.context = pretended(self.world, self.patch.setattr)
        self.context.__enter__()
        self.said: Counter[str] = Counter()
        self.numbered = dict.fromkeys(PARTITIONS, 0)
        self.give({0: 1, 1: 2})

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.put_right()
            finally:
                failpoints.forget()
                self.patch.undo()
                self.world.loop.close()

    def process(self, number: int) -> Process:
        if number not in self.world.processes:
            self.world.processes[number] = Process(self.world, number)
        return self.world.processes[number]

    def give(self, assignment: dict[int, int], *, pausing: bool = True) -> None:
        """Assign partitions; a sleeping process does not hear of it.

        They come paused, or with records that were handed out before they could be.
        """
        self.assignment = assignment
        for number in (1, 2):
            process = self.process(number)
            if process.task is None:
                process.believed = {part for part, owner in assignment.items() if owner == number}
                process.paused = set(process.believed) if pausing else set()
                process.reassigned += 1

    @rule(partition=st.sampled_from(PARTITIONS), count=st.integers(1, 4), numbered=st.booleans())
    def produce(self, partition: int, count: int, numbered: bool) -> None:
        for _ in range(count):
            text = f"{partition}:{len(self.world.log[partition])}"
            seq = 0
            if numbered:
                self.numbered[partition] += 1
                seq = self.numbered[partition]
            self.world.log[partition].append((text, seq))
            self.said[text] += 1

    @rule(partition=st.sampled_from(PARTITIONS), back=st.integers(1, 3))
    def repeat_upstream(self, partition: int, back: int) -> None:
        """The writer before us sends its last numbered records again."""
        numbered = [one for one in self.world.log[partition] if one[1]]
        distinct = list(dict.fromkeys(numbered))
        self.world.log[partition] += distinct[-back:]

    @rule(number=PROCESSES, at_most=st.integers(1, 5))
    def deliver(self, number: int, at_most: int) -> None:
        process = self.process(number)
        if process.task is None:
            batch = process.poll(at_most)
            if batch:
                self.world.run(process, process.reader.handle_batch(batch))

    @rule(number=PROCESSES)
    def maintain(self, number: int) -> None:
        process = self.process(number)
        if process.task is None:
            self.world.run(process, process.reader.maintain())

    @rule(number=PROCESSES, point=POINTS)
    def die_at(self, number: int, point: str) -> None:
        """The process comes to a named point in its next batch, and is killed there."""

        def die(_hit: int) -> None:
            raise Died

        self.maintain(number)
        failpoints.plan(point, die)
        try:
            self.deliver(number, 3)
        finally:
            failpoints.forget()

    @rule(number=PROCESSES, where=st.sampled_from(("commit", "publish", "publish, oddly")))
    def stumble(self, number: int, where: str) -> None:
        """The answer to a commit is lost, or publishing fails in the middle, in whatever way."""
        self.maintain(number)
        self.process(number).fail = where
        self.deliver(number, 3)

    @rule(number=PROCESSES, where=st.sampled_from(("transaction", "publish")))
    def fall_asleep(self, number: int, where: str) -> None:
        """The process stops in the middle of a batch; the group gives its partitions away."""
        self.maintain(number)
        self.process(number).sleep_at = where
        self.deliver(number, 3)
        self.process(number).sleep_at = None
        if self.process(number).task is not None:
            self.give(dict.fromkeys(PARTITIONS, 3 - number))

    @rule(number=PROCESSES)
    def resume_command(self, number: int) -> None:
        """The zombie goes on, believing what it believed."""
        process = self.process(number)
        if process.sleeping is not None:
            process.sleeping.set()
            self.world.carry_on(process)

    @rule(number=PROCESSES, hasty=st.booleans())
    def publish_beside(self, number: int, hasty: bool) -> None:
        """A hasty process begins its next batch while the last one is still being published."""
        self.process(number).hasty = hasty

    @rule(number=PROCESSES)
    def fail_beside_the_next_batch(self, number: int) -> None:
        """Publishing takes its time and fails, after the next batch has been committed."""
        process = self.process(number)
        if process.task is None:
            self.maintain(number)
            process.hasty, process.sleep_at, process.fail = True, "publish", "publish"
            self.deliver(number, 2)
            self.deliver(number, 2)
            process.sleep_at = None
            self.resume_command(number)

    @rule(partition=st.sampled_from(PARTITIONS), ahead=st.integers(0, 3))
    def wait_for_something(self, partition: int, ahead: int) -> None:
        """What a record needs has not arrived: its partition waits, and no other."""
        self.world.awaited.add(f"{partition}:{max(0, len(self.world.log[partition]) - ahead)}")

    @rule()
    def arrive(self) -> None:
        self.world.awaited.clear()

    @rule(first=PROCESSES, second=PROCESSES, pausing=st.booleans())
    def rebalance(self, first: int, second: int, pausing: bool) -> None:
        self.give({0: first, 1: second}, pausing=pausing)

    @invariant()
    def applied_at_most_once_and_in_order(self) -> None:
        if not hasattr(self, "world"):
            return
        effects = self.world.tables.effects
        assert max(Counter(effects).values(), default=0) <= 1
        for partition in PARTITIONS:
            offsets = [int(text.split(":")[1]) for part, text in effects if part == partition]
            assert offsets == sorted(offsets)

    @invariant()
    def heard_at_most_once_and_without_a_gap(self) -> None:
        for texts in self.heard():
            assert max(Counter(texts).values(), default=0) <= 1

    def heard(self) -> Iterator[list[str]]:
        if hasattr(self, "world"):
            for records in self.world.out.values():
                yield heard(records)

    def put_right(self) -> None:
        """Wake or forget everyone, let one process do all that is left, and count."""
        self.world.awaited.clear()
        for number in (1, 2):
            self.resume_command(number)
        self.world.processes.clear()
        self.give(dict.fromkeys(PARTITIONS, 1))
        for _ in range(sum(map(len, self.world.log.values())) + 3):
            self.maintain(1)
            self.deliver(1, 50)
        self.maintain(1)
        assert Counter(text for _, text in self.world.tables.effects) == self.said
        assert Counter(text for texts in self.heard() for text in texts) == self.said


QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]
CAREFUL = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=QUIET
)
ENOUGH = settings(
    CAREFUL, max_examples=400, derandomize=True, database=None, phases=[Phase.generate]
)


def test_whatever_happens_everything_is_done_exactly_once() -> None:
    run_state_machine_as_test(Misfortunes, settings=CAREFUL)


async def marked_before_acknowledged(self: Any, chunks: Any) -> dict[str, Exception]:
    self._acknowledged.update({(one.source, one.destination): one for one in chunks})
    await self.remember_acknowledgements()
    if chunks:
        await self._publisher.publish_chunks(chunks)
        failpoints.reach("after_acknowledgement")
    return {}


async def published_out_of_turn(self: Any, chunks: Any, _owned: Any) -> None:
    """Publish also what follows something that was not published."""
    await self._publishing.settle()
    self._publishing.begin(chunks)


MUTANTS: dict[str, tuple[type, str, Any]] = {
    "compare-and-set result ignored": (Batches, "_check_owned", lambda *_: None),
    "reader's watermark off": (Batches, "_is_repeat", lambda *_: False),
    "marked sent before the acknowledgement": (Publishing, "publish", marked_before_acknowledged),
    "published after what failed": (Batches, "_publish", published_out_of_turn),
    "the rest of a waiting partition applied": (
        Isolation,
        "_still_possible",
        lambda self, records: [one for one in records if one.partition in self._ownership.armed],
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_protocol_is_found(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, broken = MUTANTS[mutant]
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Misfortunes, settings=ENOUGH)
