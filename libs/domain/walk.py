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
from libs.domain.contact import ContactSnapshot, Engagement
from libs.domain.flow import Flow, FlowStatus
from libs.domain.membership import Membership, TimelineEntry, with_metric
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
from libs.domain.walk_events import DeliveryFinished, Entered, TimerFired, WalkEvent

MAX_STEPS_AT_ONCE = 200
"""A walk that takes more is going in circles. Readiness refuses such flows; this is the net."""


MAX_JUDGEMENTS = 300
"""So many judged conditions one walk tells of: its record must fit its topic."""


@dataclass(frozen=True, slots=True)
class WalkResult:
    """What became of a membership, what is to be carried out, and what its timeline gained."""

    membership: Membership
    effects: tuple[Effect, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()


def walk(
    flow: Flow, membership: Membership, contact: ContactSnapshot, event: WalkEvent, now: datetime
) -> WalkResult:
    """Move a membership as far as it can go.

    A flow that has ended (archived, deleted) moves nobody on: the membership ends here, even if
    the change of the flow has not been applied to it yet. A paused flow moves nobody either: the
    event is parked with the membership until reactivation.

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
    if flow.status is FlowStatus.PAUSED:
        return WalkResult(membership.park(event, at))
    return _Walk(flow, membership, contact, event, at).result()


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
    effects: list[Effect] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    judgements: int = 0

    def result(self) -> WalkResult:
        """Take steps until the membership suspends or ends."""
        self._begin()
        answer = self._first_answer()
        for _ in range(MAX_STEPS_AT_ONCE):
            if self.step is None or not isinstance(answer, Continue):
                break
            answer = self._next_answer(self.step, answer)
        else:
            answer = Exit("going_in_circles")
        ended = self._settle(answer)
        return WalkResult(ended, tuple(self.effects), tuple(self.timeline))

    def _begin(self) -> None:
        self.step = self.flow.steps_by_id.get(self.membership.step_id or "")
        self.engagement = self.membership.engagement
        self._note_what_happened()
        if self.engagement:
            self.contact = replace(self.contact, engagement=self.engagement)

    def _first_answer(self) -> StepResult:
        if isinstance(self.event, Entered):
            return self._enter(self.flow.first_step_id)
        if self.step is None:
            return Exit("step_removed")
        return self.step.on_event(self._context(self.step))

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

    def _told(self, answer: Continue) -> Mapping[str, Any]:
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
                if until is not None:
                    self._note("waiting", self.step, {"until": to_text(until)})
                return self.membership.suspend(waiting_on, until, self.now, **self._moved())
            case Continue():
                self._note("completed", None, {})
                return self.membership.complete(self.now, **self._moved())

    def _moved(self) -> dict[str, Any]:
        """Say what else of the membership has changed: one copy of it is made, with everything."""
        return {
            "step_id": self.step.step_id if self.step else self._last_step_id(),
            "engagement": self.engagement,
            "sequence": self.membership.sequence + len(self.timeline),
        }

    def _last_step_id(self) -> str | None:
        passed = [entry.step_id for entry in self.timeline if entry.type == "step_executed"]
        return passed[-1] if passed else self.membership.step_id

    def _note_what_happened(self) -> None:
        match self.event:
            case Entered():
                self._note("entered_flow", None, {"source": self.membership.entry_source})
            case DeliveryFinished(outcome="sent") if self.step is not None:
                self.engagement = with_metric(self.engagement, self.step.step_id, "sent", self.now)
                self._note("email_sent", self.step, {})
            case DeliveryFinished(outcome="skipped", reason=reason):
                self._note("email_skipped", self.step, {"reason": reason})
            case DeliveryFinished(outcome="failed", reason=reason):
                self._note("step_failed", self.step, {"reason": reason})
            case _:
                return

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
