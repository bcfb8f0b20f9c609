"""The heart: what happens next to a membership.

`walk` takes a flow, a membership, what is known of its contact, what happened and the time. It
goes on through as many steps as can be done at once, and stops where the member must wait for a
timer or a delivery, or leaves the flow. It returns the membership as it is then, the effects to
carry out, and the trail it left. Nothing else decides where a member goes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.domain.calendar import to_text
from libs.domain.contact import Facts
from libs.domain.flow import Flow, FlowStatus
from libs.domain.membership import Membership, Trail
from libs.domain.situation import (
    Answer,
    DeliveryFinished,
    Effect,
    Entered,
    GoOn,
    Leave,
    Occurrence,
    SendEmail,
    SetTimer,
    Situation,
    StandStill,
)
from libs.domain.steps.step import Step

MAX_STEPS_AT_ONCE = 200
"""A walk that takes more is going in circles. Readiness refuses such flows; this is the net."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What became of a membership: its new state, what to carry out, and its trail."""

    membership: Membership
    effects: tuple[Effect, ...] = ()
    trail: tuple[Trail, ...] = ()


def walk(
    flow: Flow, membership: Membership, facts: Facts, occurrence: Occurrence, now: datetime
) -> Walked:
    """Move a membership as far as it can go.

    A paused flow moves nobody: what happened is parked with the membership until reactivation.
    """
    if flow.status is FlowStatus.PAUSED:
        return Walked(membership.park(occurrence, now))
    of_this_run = replace(facts, engagement=membership.engagement)
    journey = _Journey(flow, replace(membership, parked=None), of_this_run, occurrence, now)
    journey.run()
    return Walked(journey.member, tuple(journey.effects), tuple(journey.trail))


def drop(membership: Membership, reason: str, now: datetime) -> Walked:
    """End a membership from outside, whatever it was waiting for."""
    trail = Trail("dropped", now, membership.step_id, details={"reason": reason})
    dropped = membership.drop(reason, now)
    return Walked(replace(dropped, sequence=dropped.sequence + 1), trail=(trail,))


@dataclass(slots=True)
class _Journey:
    """One call of `walk` under way."""

    flow: Flow
    member: Membership
    facts: Facts
    occurrence: Occurrence
    now: datetime
    effects: list[Effect] = field(default_factory=list)
    trail: list[Trail] = field(default_factory=list)

    def run(self) -> None:
        """Take steps until the member stands or has left."""
        self._note_what_happened()
        answer, step = self._first_answer()
        for _ in range(MAX_STEPS_AT_ONCE):
            if step is None or not isinstance(answer, GoOn):
                break
            answer, step = self._go_on(step, answer)
        else:
            answer = Leave("going_in_circles")
        self._settle(step, answer)

    def _first_answer(self) -> tuple[Answer, Step | None]:
        if isinstance(self.occurrence, Entered):
            return self._arrive(self.flow.first_step_id)
        step = self.flow.steps_by_id.get(self.member.step_id or "")
        if step is None:
            return Leave("step_removed"), None
        return step.wake(self._situation(step)), step

    def _go_on(self, step: Step, answer: GoOn) -> tuple[Answer, Step | None]:
        details = {"outcome": answer.outcome, **answer.details}
        self._leave_trail("step_executed", step, details)
        return self._arrive(step.target(answer.edge))

    def _arrive(self, step_id: str | None) -> tuple[Answer, Step | None]:
        if step_id is None:
            return GoOn(), None
        step = self.flow.steps_by_id.get(step_id)
        if step is None:
            return Leave("step_removed"), None
        self.member = replace(self.member, step_id=step_id)
        if self.flow.disqualifies(self.facts, self.now):
            return Leave("disqualified"), step
        return step.arrive(self._situation(step)), step

    def _settle(self, step: Step | None, answer: Answer) -> None:
        match answer:
            case Leave(reason):
                self._leave_trail("dropped", step, {"reason": reason})
                self.member = self.member.drop(reason, self.now)
            case StandStill(effect):
                self._stand(step, effect)
            case GoOn():
                self._leave_trail("completed", None, {})
                self.member = self.member.complete(self.now)

    def _stand(self, step: Step | None, effect: Effect) -> None:
        self.effects.append(effect)
        match effect:
            case SetTimer(due_at):
                self.member = self.member.stand("timer", due_at, self.now)
                self._leave_trail("waiting", step, {"until": to_text(due_at)})
            case SendEmail():
                self.member = self.member.stand("delivery", None, self.now)

    def _note_what_happened(self) -> None:
        step = self.flow.steps_by_id.get(self.member.step_id or "")
        match self.occurrence:
            case Entered():
                self._leave_trail("entered_flow", None, {"source": self.member.entry_source})
            case DeliveryFinished(outcome="sent") if step is not None:
                self.member = self.member.note(step.step_id, "sent", self.now)
                self.facts = replace(self.facts, engagement=self.member.engagement)
                self._leave_trail("email_sent", step, {})
            case DeliveryFinished(outcome="skipped", reason=reason):
                self._leave_trail("email_skipped", step, {"reason": reason})
            case DeliveryFinished(outcome="failed", reason=reason):
                self._leave_trail("step_failed", step, {"reason": reason})
            case _:
                return

    def _situation(self, step: Step) -> Situation:
        condition = self.flow.conditions.get(step.step_id)
        return Situation(self.facts, self.occurrence, self.now, condition)

    def _leave_trail(self, kind: str, step: Step | None, details: dict[str, object]) -> None:
        step_id, label = (step.step_id, step.label) if step else (None, None)
        self.trail.append(Trail(kind, self.now, step_id, label, details))
        self.member = replace(self.member, sequence=self.member.sequence + 1)


def numbered(walked: Walked) -> Iterable[tuple[int, Trail]]:
    """Give each trail entry its number in the membership's timeline."""
    first = walked.membership.sequence - len(walked.trail) + 1
    return enumerate(walked.trail, first)
