"""One contact's one run through one flow, and the states it may be in.

    active  -- stands at a delivery under way,
      |  ^     or at a page that is being made ---+
      v  |                                        v
    waiting -- stands at a timer,
               or at a condition -------> completed | dropped

A live membership has exactly one reason to move (`waiting_on`): a timer, a delivery under way, an
event that makes its condition hold, the answer to what it asked another service for, or the
reactivation of a paused flow. An ended one has none.
Every time it comes to stand its hop number rises, and a command for another hop is void. One that
waits for an event may have a timer as well: its time-out, or the instant at which time alone could
make its condition hold. Whichever comes first, the condition is judged then; the timer is a hint.
One that waits for an answer always has a timer: an answer that was lost strands nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain, count
from typing import Any, Literal
from uuid import UUID

from libs.domain.contact import EmailMetric, Engagement, Scalar
from libs.domain.listening import KEYING
from libs.domain.walk_events import WalkEvent

WaitingOn = Literal["timer", "delivery", "event", "answer", "reactivation"]
_UNDER_WAY = frozenset({"delivery", "answer"})
MAX_CONTEXT_VALUES = 100
"""So many values a run has at most."""


class MembershipStatus(StrEnum):
    """The four states users see (services/api/native/README.md)."""

    ACTIVE = "active"
    WAITING = "waiting"
    COMPLETED = "completed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a membership's timeline: what happened, where, when, and what was seen."""

    type: str
    at: datetime
    step_id: str | None = None
    label: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A run.

    Attributes:
        status: The state users see.
        waiting_on: The one reason it has to move; None once it has ended.
        hop: How often it has come to stand.
        step_id: Where it stands; the last step once it has ended.
        stood_at: When it came to the step it stands at.
        waiting_until: When its timer is due, if it has one.
        times_out_at: When it goes on at the latest, if it waits for an event and not for ever.
        listens: The keys of the facts by which events may move or end it (listening.py).
        keying: The version of the program's keys that these are of.
        parked: What would have moved it while its flow was paused.
        entry_source: The trigger's type, or `public_api`.
        dynamic_context: Values of this run for merge tags.
        engagement: What became of its mails, by step id.
        sequence: The number of its last timeline entry.
        depth: How many flows, one causing the next, led to it.
    """

    membership_id: UUID
    workspace_id: UUID
    flow_id: UUID
    contact_id: UUID
    entry_source: str
    entered_at: datetime
    updated_at: datetime
    status: MembershipStatus = MembershipStatus.ACTIVE
    waiting_on: WaitingOn | None = None
    hop: int = 0
    step_id: str | None = None
    stood_at: datetime | None = None
    waiting_until: datetime | None = None
    times_out_at: datetime | None = None
    listens: tuple[int, ...] = ()
    keying: int = KEYING
    parked: WalkEvent | None = None
    dynamic_context: Mapping[str, Scalar] = field(default_factory=dict)
    engagement: Engagement = field(default_factory=dict)
    ended_at: datetime | None = None
    drop_reason: str | None = None
    sequence: int = 0
    depth: int = 0

    @property
    def contact_key(self) -> tuple[UUID, UUID]:
        """Workspace and contact: what a contact is known by."""
        return self.workspace_id, self.contact_id

    @property
    def is_live(self) -> bool:
        """True until it has completed or was dropped."""
        return self.status in (MembershipStatus.ACTIVE, MembershipStatus.WAITING)

    def expects(self, hop: int, *waiting_on: WaitingOn) -> bool:
        """Say whether a command for this hop, and one of these reasons, still concerns it."""
        return self.is_live and self.hop == hop and self.waiting_on in waiting_on

    def hears(self, keys: frozenset[int]) -> bool:
        """Say whether an event that touches these facts may concern it."""
        return self.keying != KEYING or not keys.isdisjoint(self.listens)

    def suspend(
        self, waiting_on: WaitingOn, until: datetime | None, now: datetime, **changes: Any
    ) -> "Membership":
        """Come to stand: the next hop begins. Other changes go into the same copy."""
        return replace(
            self,
            status=MembershipStatus.ACTIVE
            if waiting_on in _UNDER_WAY
            else MembershipStatus.WAITING,
            waiting_on=waiting_on,
            hop=self.hop + 1,
            waiting_until=until,
            parked=None,
            updated_at=now,
            **changes,
        )

    def listen(self, keys: tuple[int, ...]) -> "Membership":
        """Listen to these facts from now on; the same object if it does already."""
        if self.listens == keys and self.keying == KEYING:
            return self
        return replace(self, listens=keys, keying=KEYING)

    def park(self, event: WalkEvent, now: datetime) -> "Membership":
        """Keep for later what cannot move it now, because its flow is paused."""
        return replace(self, waiting_on="reactivation", parked=event, updated_at=now)

    def complete(self, now: datetime, **changes: Any) -> "Membership":
        """End well."""
        return self._end(MembershipStatus.COMPLETED, None, now, **changes)

    def drop(self, reason: str, now: datetime, **changes: Any) -> "Membership":
        """End before the last step, for a reason."""
        return self._end(MembershipStatus.DROPPED, reason, now, **changes)

    def _end(
        self, status: MembershipStatus, reason: str | None, now: datetime, **changes: Any
    ) -> "Membership":
        return replace(
            self,
            status=status,
            waiting_on=None,
            waiting_until=None,
            times_out_at=None,
            listens=(),
            parked=None,
            ended_at=now,
            drop_reason=reason,
            updated_at=now,
            **changes,
        )

    def note(self, step_id: str, metric: EmailMetric, at: datetime) -> "Membership":
        """Remember what became of a mail; only the first time of each metric counts."""
        noted = with_metric(self.engagement, step_id, metric, at)
        return self if noted is self.engagement else replace(self, engagement=noted)


def with_metric(
    engagement: Engagement, step_id: str, metric: EmailMetric, at: datetime
) -> Engagement:
    """Add what became of a mail to what is known; the same object if it was known already."""
    known = engagement.get(step_id, {})
    return engagement if metric in known else {**engagement, step_id: {**known, metric: at}}


def with_page_url(context: Mapping[str, Scalar], url: str) -> Mapping[str, Scalar]:
    """Add where a page is to the values of a run.

    The first page of a run is its `tentURL`, the next one `tentURL2`, and so on. A run that goes in
    a circle does not gather values for ever.
    """
    if len(context) >= MAX_CONTEXT_VALUES:
        return context
    names = chain(["tentURL"], (f"tentURL{number}" for number in count(2)))
    name = next(name for name in names if name not in context)
    return {**context, name: url}
