"""May this contact enter this flow? If not, why not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow, FlowStatus

Refusal = Literal[
    "flow_not_active",
    "contact_not_found",
    "already_in_flow",
    "reentry_denied",
    "contact_disqualified",
]


@dataclass(frozen=True, slots=True)
class History:
    """What a flow has already seen of a contact.

    Attributes:
        inside: Whether a run of it is live.
        runs: How many runs it has had, however they ended.
    """

    inside: bool = False
    runs: int = 0


def refusal(
    flow: Flow, snapshot: ContactSnapshot | None, history: History, now: datetime
) -> Refusal | None:
    """Say why a contact may not enter, or None if it may.

    The order of the questions is fixed: is the flow active, is the contact known, is it already
    inside, may it come again (`once` counts every earlier run), does a guard refuse it.
    """
    if flow.status is not FlowStatus.ACTIVE:
        return "flow_not_active"
    if snapshot is None:
        return "contact_not_found"
    if history.inside:
        return "already_in_flow"
    if flow.reentry == "once" and history.runs:
        return "reentry_denied"
    return "contact_disqualified" if flow.refuses("entry", snapshot, now) else None
