"""Which hosts can be reached, and how much is under way to each.

A host to which no connection can be made is down for everybody. One that answers badly (in no time,
or that it is busy) is down for the workspace it does so to: others may call another part of it.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Mapping, Sequence

from services.step_executor.deliveries.target import Target
from services.step_executor.deliveries.webhook.answers import Answer
from services.step_executor.store.deliveries import Claimed, Lane

_KEPT = 10_000


class WebhookTargets:
    """The hosts that webhooks of this process go to."""

    def __init__(
        self, per_host: int, per_workspace: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_host = per_host
        self._per_workspace = per_workspace
        self._clock = clock
        self._troubled: dict[Hashable, Target] = {}
        self._under_way: Counter[Hashable] = Counter()

    def shares(self, lanes: Sequence[Lane], at_most: int) -> Mapping[Lane, int]:
        """Share out what may be begun now: workspaces in turn, within each its lanes in turn."""
        given: Counter[Lane] = Counter()
        waiting: defaultdict[Hashable, deque[Lane]] = defaultdict(deque)
        for lane in lanes:
            waiting[lane.workspace_id].append(lane)
        taken: Counter[Hashable] = Counter()
        while waiting and given.total() < at_most:
            for workspace in list(waiting):
                following = self._next_with_room(waiting[workspace], taken)
                if following is None:
                    del waiting[workspace]
                elif given.total() < at_most:
                    given[following] += 1
                    taken.update(_counted(following))
        return given

    def _next_with_room(self, lanes: deque[Lane], taken: Counter[Hashable]) -> Lane | None:
        while lanes:
            lane = lanes.popleft()
            if self._room(lane, taken) > 0:
                lanes.append(lane)
                return lane
        return None

    def _room(self, lane: Lane, taken: Counter[Hashable]) -> int:
        busy = {one: self._under_way[one] + taken[one] for one in _counted(lane)}
        room = min(
            self._per_host - busy[lane.target], self._per_workspace - busy[lane.workspace_id]
        )
        for one in _judged(lane):
            if target := self._troubled.get(one):
                room = min(room, target.room(room, busy[one]))
        return room

    def is_down(self, lane: Lane) -> bool:
        """Say whether what waits in a lane cannot be delivered at the moment."""
        return any(target.is_down for one in _judged(lane) if (target := self._troubled.get(one)))

    def is_blocked(self, lane: Lane) -> bool:
        """Say whether not even a probe may be made."""
        return any(
            not target.room(1, self._under_way[one])
            for one in _judged(lane)
            if (target := self._troubled.get(one))
        )

    def began(self, lane: Lane) -> None:
        """One is under way."""
        self._under_way.update(_counted(lane))

    def ended(self, lane: Lane) -> None:
        """One is no more under way."""
        for one in _counted(lane):
            self._under_way[one] -= 1
            if not self._under_way[one]:
                del self._under_way[one]

    def note(self, claimed: Claimed, answer: Answer) -> None:
        """Learn from how a call ended."""
        lane = claimed.lane
        if answer.outcome == "unreachable":
            self._trouble(lane.target).did_not_answer()
        elif answer.busy:
            self._troubled.pop(lane.target, None)
            self._trouble(lane).interrupted(claimed.key)
        elif answer.outcome in ("sent", "retry") or _was_answered(answer):
            for one in _judged(lane):
                self._troubled.pop(one, None)

    def _trouble(self, about: Hashable) -> Target:
        found = self._troubled.pop(about, None) or Target(self._clock)
        self._troubled[about] = found  # the last in the order is the one that was in trouble last
        if len(self._troubled) > _KEPT:
            del self._troubled[next(iter(self._troubled))]
        return found


def _was_answered(answer: Answer) -> bool:
    """Tell a refusal of the address from one of our own."""
    return answer.outcome == "failed" and (answer.reason or "").isdigit()


def _counted(lane: Lane) -> tuple[Hashable, ...]:
    return lane, lane.target, lane.workspace_id


def _judged(lane: Lane) -> tuple[Hashable, ...]:
    return lane.target, lane
