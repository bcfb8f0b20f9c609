"""The heart: what happens next to a membership.

`walk` takes a flow, a membership, what is known of its contact, what happened and the time. It
goes on through as many steps as can be done at once, and stops where the membership must wait for
a timer or a delivery, or leaves the flow. It returns the membership as it is then, the effects to
carry out, and the timeline entries it added. Nothing else decides where a membership goes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from libs.domain.calendar import to_text
from libs.domain.contact import ContactSnapshot, Engagement, Scalar
from libs.domain.flow import Flow, FlowStatus
from libs.domain.listening import KEYING
from libs.domain.membership import Membership, TimelineEntry, with_metric, with_page_url
from libs.domain.step import Step
from libs.domain.step_result import (
    Continue,
    Effect,
    Exit,
    StepContext,
    StepResult,
    Suspend,
    overlaid,
)
from libs.domain.walk_events import (
    FLOW_CHANGED,
    DeliveryFinished,
    Entered,
    FlowChanged,
    PageFinished,
    TimerFired,
    WalkEvent,
)

MAX_STEPS_AT_ONCE = 200
"""A walk that takes more is going in circles. Readiness refuses such flows; this is the net."""


MAX_JUDGEMENTS = 300
"""So many judged conditions one walk tells of: its record must fit its topic."""


@dataclass(frozen=True, slots=True)
class WalkResult:
    """What became of a membership, what is to be carried out, and what its timeline gained.

    Attributes:
        membership: The same object if nothing became of it.
        stands: Whether it has come to stand: if it waits for a timer, that one must be set.
    """

    membership: Membership
    effects: tuple[Effect, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    stands: bool = False


def walk(
    flow: Flow, membership: Membership, contact: ContactSnapshot, event: WalkEvent, now: datetime
) -> WalkResult:
    """Move a membership as far as it can go.

    A flow that has ended (archived, deleted) moves nobody on: the membership ends here, even if
    the change of the flow has not been applied to it yet. A paused flow moves nobody either: the
    event is parked with the membership until reactivation. Who waits for a condition is parked only
    by what would have moved it; the condition is judged anew at reactivation.

    Args:
        flow: The definition, in the version to go by.
        membership: The run.
        contact: What is known of its contact.
        event: What has woken it.
        now: The clock's time, UTC. The walk takes the latest of it, the moment the timer was due
            and the membership's last change, so that no clock that is behind makes it go back.

    Raises:
        UnknownStepType: If it comes to a step that this version of the program does not know.
    """
    at = _time_of(membership, event, now)
    if reason := flow.end_reason:
        return drop(membership, reason, at)
    if flow.status is FlowStatus.PAUSED and membership.waiting_on != "event":
        return WalkResult(membership.park(event, at))
    return _Walk(flow, membership, contact, event, at).result()


def is_over(flow: Flow, membership: Membership, contact: ContactSnapshot, at: datetime) -> bool:
    """Say whether a wait would end if it were judged at some instant."""
    return _Walk(flow, membership, contact, FLOW_CHANGED, at).goes_on()


def drop(membership: Membership, reason: str, now: datetime) -> WalkResult:
    """End a membership from outside, whatever it was waiting for."""
    entry = TimelineEntry("dropped", now, membership.step_id, details={"reason": reason})
    dropped = membership.drop(reason, now, sequence=membership.sequence + 1)
    return WalkResult(dropped, timeline=(entry,))


def _time_of(membership: Membership, event: WalkEvent, now: datetime) -> datetime:
    due_at = membership.waiting_until if isinstance(event, TimerFired) else None
    return max(now, membership.updated_at, due_at or now)


@dataclass(slots=True)
class _Walk:
    """One call of `walk` under way. The membership is written once, at the end."""

    flow: Flow
    membership: Membership
    contact: ContactSnapshot
    event: WalkEvent
    now: datetime
    step: Step | None = None
    engagement: Engagement = field(default_factory=dict)
    values: Mapping[str, Scalar] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    judgements: int = 0
    stays: bool = False

    def result(self) -> WalkResult:
        """Take steps until the membership suspends or ends."""
        self._begin()
        answer = self._first_answer()
        self.stays = isinstance(answer, Suspend) and not self._enters
        if self.stays and (unmoved := self._as_it_stands(answer)):
            return WalkResult(unmoved)
        if self.flow.status is FlowStatus.PAUSED and not self.stays:
            return WalkResult(self.membership.park(self.event, self.now))
        for _ in range(MAX_STEPS_AT_ONCE):
            if self.step is None or not isinstance(answer, Continue):
                break
            answer = self._next_answer(self.step, answer)
        else:
            answer = Exit("going_in_circles")
        settled = self._settle(answer)
        stands = isinstance(answer, Suspend)
        return WalkResult(settled, tuple(self.effects), tuple(self.timeline), stands)

    def goes_on(self) -> bool:
        """Say whether what happened moves the membership from where it stands."""
        self._begin()
        return not isinstance(self._first_answer(), Suspend)

    def _as_it_stands(self, answer: StepResult) -> Membership | None:
        """Give a membership that waits on, for the same and until the same instant."""
        now = self.membership
        waits_on = (
            isinstance(answer, Suspend)
            and answer.waiting_on == now.waiting_on
            and (answer.until, answer.times_out_at) == (now.waiting_until, now.times_out_at)
        )
        listening = now.listen(self.flow.listens_at(now.step_id))
        is_same = listening is now or now.waiting_on == "timer"
        return listening if waits_on and is_same else None

    def _begin(self) -> None:
        self.step = self.flow.steps_by_id.get(self.membership.step_id or "")
        self.engagement = self.membership.engagement
        self.values = self.membership.dynamic_context
        self._note_what_happened()
        if self.engagement:
            self.contact = replace(self.contact, engagement=self.engagement)

    def _first_answer(self) -> StepResult:
        if isinstance(self.event, Entered):
            return self._enter(self.flow.first_step_id)
        if self.step is None:
            return Exit("step_removed")
        if self._enters:
            return self._enter(self.step.step_id)
        return self.step.on_event(self._context(self.step))

    @property
    def _enters(self) -> bool:
        """Say whether it begins a step: its first one, or one that an edit put where it waited."""
        if isinstance(self.event, Entered):
            return True
        step = self.step
        return (
            step is not None
            and not isinstance(self.event, DeliveryFinished)
            and not (isinstance(self.event, PageFinished) and step.awaits_answer)
            and not step.takes_time
            and step.step_id not in self.flow.waits_for_events
        )

    def _next_answer(self, step: Step, answer: Continue) -> StepResult:
        self.effects += answer.effects
        self.contact = overlaid(self.contact, answer.effects)
        self._note("step_executed", step, {"outcome": answer.outcome, **self._told(answer)})
        return self._enter(step.target(answer.edge))

    def _enter(self, step_id: str | None) -> StepResult:
        self.step = None
        if step_id is None:
            return Continue()
        step = self.flow.steps_by_id.get(step_id)
        if step is None:
            return Exit("step_removed")
        self.step = step
        if reason := self.flow.refuses("step", self.contact, self.now):
            return Exit(reason)
        return step.on_enter(self._context(step))

    def _told(self, answer: Continue | Suspend) -> Mapping[str, Any]:
        """Give what a step tells of itself; how often rules are judged in a walk has no limit."""
        judged = answer.details.get("judged", ())
        room = MAX_JUDGEMENTS - self.judgements
        self.judgements += min(len(judged), room)
        if len(judged) <= room:
            return answer.details
        return {**answer.details, "judged": judged[:room], "judged_in_all": len(judged)}

    def _settle(self, answer: StepResult) -> Membership:
        """Write the membership as it is now."""
        self.effects += answer.effects
        match answer:
            case Exit(reason):
                self._note("dropped", self.step, {"reason": reason})
                return self.membership.drop(reason, self.now, **self._moved())
            case Suspend(waiting_on, until):
                self._note_wait(answer)
                return self.membership.suspend(waiting_on, until, self.now, **self._stand(answer))
            case Continue():
                self._note("completed", None, {})
                return self.membership.complete(self.now, **self._moved())

    def _note_wait(self, answer: Suspend) -> None:
        """Tell of a wait, but not each time its condition was judged without moving anybody."""
        goes_on = self.stays and self.membership.waiting_on == answer.waiting_on == "event"
        if goes_on and not isinstance(self.event, FlowChanged):
            return
        if answer.waiting_on == "answer":
            self._note("page_requested", self.step, {})
        elif answer.waiting_on == "event":
            self._note("waiting", self.step, dict(self._told(answer)))
        elif answer.until is not None:
            self._note("waiting", self.step, {"until": to_text(answer.until)})

    def _stand(self, answer: Suspend) -> dict[str, Any]:
        """Say what else of the membership has changed now that it stands."""
        moved = self._moved()
        stood_at = self.membership.stood_at if self.stays else None
        return {
            **moved,
            "stood_at": stood_at or self.now,
            "times_out_at": answer.times_out_at,
            "listens": self.flow.listens_at(moved["step_id"]),
            "keying": KEYING,
        }

    def _moved(self) -> dict[str, Any]:
        """Say what else of the membership has changed: one copy of it is made, with everything."""
        return {
            "step_id": self.step.step_id if self.step else self._last_step_id(),
            "engagement": self.engagement,
            "dynamic_context": self.values,
            "sequence": self.membership.sequence + len(self.timeline),
        }

    def _last_step_id(self) -> str | None:
        passed = [entry.step_id for entry in self.timeline if entry.type == "step_executed"]
        return passed[-1] if passed else self.membership.step_id

    def _note_what_happened(self) -> None:
        match self.event:
            case Entered():
                self._note("entered_flow", None, {"source": self.membership.entry_source})
            case DeliveryFinished(outcome="sent", channel=channel) if self.step is not None:
                if channel == "email":
                    self.engagement = with_metric(
                        self.engagement, self.step.step_id, "sent", self.now
                    )
                self._note(f"{channel}_sent", self.step, {})
            case DeliveryFinished(outcome="skipped", channel=channel, reason=reason):
                self._note(f"{channel}_skipped", self.step, {"reason": reason})
            case DeliveryFinished(outcome="failed", reason=reason):
                self._note("step_failed", self.step, {"reason": reason})
            case PageFinished(outcome="failed", reason=reason):
                self._note("step_failed", self.step, {"reason": reason})
            case PageFinished() as page:
                self._take_page(page)
            case _:
                return

    def _take_page(self, page: PageFinished) -> None:
        """Let what comes later in the run show where its page is."""
        if page.url is not None:
            self.values = with_page_url(self.values, page.url)
        told = {"page_id": page.page_id, "url": page.url, "warnings": list(page.warnings)}
        self._note("page_made", self.step, told)

    def _context(self, step: Step) -> StepContext:
        condition = self.flow.conditions.get(step.step_id)
        return StepContext(self.membership, self.contact, self.event, self.now, condition)

    def _note(self, kind: str, step: Step | None, details: dict[str, Any]) -> None:
        step_id, label = (step.step_id, step.label) if step else (None, None)
        self.timeline.append(TimelineEntry(kind, self.now, step_id, label, details))


def numbered(result: WalkResult) -> list[tuple[int, TimelineEntry]]:
    """Give each new timeline entry its number in the membership's timeline."""
    first = result.membership.sequence - len(result.timeline) + 1
    return list(enumerate(result.timeline, first))
