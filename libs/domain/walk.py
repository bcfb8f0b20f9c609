"""The heart: what happens next to a membership.

`walk` takes a flow, a membership, what is known of its contact, what happened and the time. It
goes on through as many steps as can be done at once, and stops where the member must wait for a
timer or a delivery, or leaves the flow. It returns the membership as it is then, the effects to
carry out, and the timeline it left. Nothing else decides where a member goes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.domain.calendar import to_text
from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow, FlowStatus
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.step_result import (
    Continue,
    DeliveryFinished,
    Effect,
    Entered,
    Exit,
    SendEmail,
    SetTimer,
    StepContext,
    StepResult,
    Suspend,
    WalkEvent,
)
from libs.domain.steps.step import Step

MAX_STEPS_AT_ONCE = 200
"""A walk that takes more is going in circles. Readiness refuses such flows; this is the net."""


@dataclass(frozen=True, slots=True)
class WalkResult:
    """What became of a membership: its new state, what to carry out, and its timeline."""

    membership: Membership
    effects: tuple[Effect, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()


def walk(
    flow: Flow, membership: Membership, snapshot: ContactSnapshot, event: WalkEvent, now: datetime
) -> WalkResult:
    """Move a membership as far as it can go.

    A paused flow moves nobody: what happened is parked with the membership until reactivation.
    """
    if flow.status is FlowStatus.PAUSED:
        return WalkResult(membership.park(event, now))
    of_this_run = replace(snapshot, engagement=membership.engagement)
    journey = _Journey(flow, replace(membership, parked=None), of_this_run, event, now)
    journey.run()
    return WalkResult(journey.member, tuple(journey.effects), tuple(journey.timeline))


def drop(membership: Membership, reason: str, now: datetime) -> WalkResult:
    """End a membership from outside, whatever it was waiting for."""
    timeline = TimelineEntry("dropped", now, membership.step_id, details={"reason": reason})
    dropped = membership.drop(reason, now)
    return WalkResult(replace(dropped, sequence=dropped.sequence + 1), timeline=(timeline,))


@dataclass(slots=True)
class _Journey:
    """One call of `walk` under way."""

    flow: Flow
    member: Membership
    snapshot: ContactSnapshot
    event: WalkEvent
    now: datetime
    effects: list[Effect] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)

    def run(self) -> None:
        """Take steps until the member stands or has left."""
        self._note_what_happened()
        answer, step = self._first_answer()
        for _ in range(MAX_STEPS_AT_ONCE):
            if step is None or not isinstance(answer, Continue):
                break
            answer, step = self._go_on(step, answer)
        else:
            answer = Exit("going_in_circles")
        self._settle(step, answer)

    def _first_answer(self) -> tuple[StepResult, Step | None]:
        if isinstance(self.event, Entered):
            return self._arrive(self.flow.first_step_id)
        step = self.flow.steps_by_id.get(self.member.step_id or "")
        if step is None:
            return Exit("step_removed"), None
        return step.on_event(self._situation(step)), step

    def _go_on(self, step: Step, answer: Continue) -> tuple[StepResult, Step | None]:
        details = {"outcome": answer.outcome, **answer.details}
        self._note("step_executed", step, details)
        return self._arrive(step.target(answer.edge))

    def _arrive(self, step_id: str | None) -> tuple[StepResult, Step | None]:
        if step_id is None:
            return Continue(), None
        step = self.flow.steps_by_id.get(step_id)
        if step is None:
            return Exit("step_removed"), None
        self.member = replace(self.member, step_id=step_id)
        if self.flow.disqualifies(self.snapshot, self.now):
            return Exit("disqualified"), step
        return step.on_enter(self._situation(step)), step

    def _settle(self, step: Step | None, answer: StepResult) -> None:
        match answer:
            case Exit(reason):
                self._note("dropped", step, {"reason": reason})
                self.member = self.member.drop(reason, self.now)
            case Suspend(effect):
                self._stand(step, effect)
            case Continue():
                self._note("completed", None, {})
                self.member = self.member.complete(self.now)

    def _stand(self, step: Step | None, effect: Effect) -> None:
        self.effects.append(effect)
        match effect:
            case SetTimer(due_at):
                self.member = self.member.stand("timer", due_at, self.now)
                self._note("waiting", step, {"until": to_text(due_at)})
            case SendEmail():
                self.member = self.member.stand("delivery", None, self.now)

    def _note_what_happened(self) -> None:
        step = self.flow.steps_by_id.get(self.member.step_id or "")
        match self.event:
            case Entered():
                self._note("entered_flow", None, {"source": self.member.entry_source})
            case DeliveryFinished(outcome="sent") if step is not None:
                self.member = self.member.note(step.step_id, "sent", self.now)
                self.snapshot = replace(self.snapshot, engagement=self.member.engagement)
                self._note("email_sent", step, {})
            case DeliveryFinished(outcome="skipped", reason=reason):
                self._note("email_skipped", step, {"reason": reason})
            case DeliveryFinished(outcome="failed", reason=reason):
                self._note("step_failed", step, {"reason": reason})
            case _:
                return

    def _situation(self, step: Step) -> StepContext:
        condition = self.flow.conditions.get(step.step_id)
        return StepContext(self.snapshot, self.event, self.now, condition)

    def _note(self, kind: str, step: Step | None, details: dict[str, object]) -> None:
        step_id, label = (step.step_id, step.label) if step else (None, None)
        self.timeline.append(TimelineEntry(kind, self.now, step_id, label, details))
        self.member = replace(self.member, sequence=self.member.sequence + 1)


def numbered(result: WalkResult) -> Iterable[tuple[int, TimelineEntry]]:
    """Give each timeline entry its number in the membership's timeline."""
    first = result.membership.sequence - len(result.timeline) + 1
    return enumerate(result.timeline, first)
