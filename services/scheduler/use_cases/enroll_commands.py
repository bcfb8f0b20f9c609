"""What a date says when it has come."""

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from libs.contracts.message import derived_id
from libs.contracts.step_commands import DueDate, Enroll
from libs.domain.occurrences import Occurrence

_ENTRY_SOURCE = "date_based"
_REMEMBERED = 1024


class Cause(NamedTuple):
    """The trigger that a date of its workspace's contacts fires."""

    workspace_id: UUID
    flow_id: UUID
    flow_version: int
    trigger_id: str


def enroll_command(cause: Cause, contact_id: UUID, occurrence: Occurrence) -> Enroll:
    """Make the command. One occurrence has one cause, so saying it twice enrolls once."""
    due_date = _due_date(cause.trigger_id, occurrence)
    return Enroll(
        id=derived_id("enroll", cause.flow_id, contact_id, due_date.cause),
        time=occurrence.due_at,
        workspace_id=cause.workspace_id,
        contact_id=contact_id,
        flow_id=cause.flow_id,
        min_flow_version=cause.flow_version,
        source_id=due_date.cause,
        entry_source=_ENTRY_SOURCE,
        dynamic_context={},
        due_date=due_date,
    )


@lru_cache(_REMEMBERED)
def _due_date(trigger_id: str, occurrence: Occurrence) -> DueDate:
    """Say which occurrence has come: the same one for very many contacts."""
    return DueDate(trigger_id=trigger_id, number=occurrence.number, due_at=occurrence.due_at)
