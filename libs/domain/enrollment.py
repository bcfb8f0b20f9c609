"""May this contact enter this flow? If not, why not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow, FlowStatus
from libs.domain.occurrences import date_in, numbered_occurrence

Refusal = Literal[
    "flow_not_active",
    "too_deep",
    "contact_not_found",
    "already_in_flow",
    "reentry_denied",
    "contact_disqualified",
    "trigger_removed",
    "date_moved",
]


MAX_DEPTH = 10
"""So many flows may have caused one another before it is taken for a loop of flows."""


@dataclass(frozen=True, slots=True)
class History:
    """What a flow has already seen of a contact.

    Attributes:
        inside: Whether a run of it is live.
        runs: How many runs it has had, however they ended.
        depth: How many flows, one causing the next, led to this enrollment.
    """

    inside: bool = False
    runs: int = 0
    depth: int = 0


def refusal(
    flow: Flow, snapshot: ContactSnapshot | None, history: History, now: datetime
) -> Refusal | None:
    """Say why a contact may not enter, or None if it may.

    The order of the questions is fixed: is the flow active, have too many flows caused one another,
    is the contact known, is it already inside, may it come again (`once` counts every earlier
    run), does a guard refuse it.
    """
    if flow.status is not FlowStatus.ACTIVE:
        return "flow_not_active"
    if history.depth > MAX_DEPTH:
        return "too_deep"
    if snapshot is None:
        return "contact_not_found"
    if history.inside:
        return "already_in_flow"
    if flow.reentry == "once" and history.runs:
        return "reentry_denied"
    return "contact_disqualified" if flow.refuses("entry", snapshot, now) else None


def date_refusal(
    flow: Flow, snapshot: ContactSnapshot, trigger_id: str, number: int, now: datetime
) -> Refusal | None:
    """Say why a date does not let its contact in: judged is this very occurrence, not today's.

    Args:
        flow: The definition as it is now.
        snapshot: The contact with the date as it is now.
        trigger_id: The trigger that found it due.
        number: Which occurrence of the date was due.
        now: By when it must have come.
    """
    trigger = flow.date_triggers.get(trigger_id)
    if trigger is None or trigger.field is None:
        return "trigger_removed"
    value = date_in(snapshot, trigger.field)
    found = numbered_occurrence(trigger.rule, value, number) if value else None
    return None if found and found.due_at <= now else "date_moved"
