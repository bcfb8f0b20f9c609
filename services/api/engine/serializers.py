"""How things look at `/v1/flows`."""

from datetime import datetime
from typing import Any

from libs.contracts.membership_events import MembershipState, TimelineEntry
from libs.domain.calendar import to_text
from services.api.store.counts import Counts
from services.api.store.flows import StoredFlow
from services.api.store.memberships import StoredMembership
from services.api.use_cases import webhook_tokens

Json = dict[str, Any]


def _instant(value: datetime | None) -> str | None:
    return to_text(value) if value else None


def flow(stored: StoredFlow, counts: Counts | None = None) -> Json:
    """Write a flow: its definition, wherever its home is, and what surrounds it."""
    definition, counted = stored.definition, counts or Counts()
    return {
        "flow_id": str(stored.flow_id),
        "dialect": stored.dialect,
        "version": stored.version,
        "status": stored.status,
        "name": definition["name"],
        "description": stored.document.get("description"),
        "triggers": definition.get("triggers", []),
        "guards": definition.get("guards", []),
        "reentry": definition.get("reentry", "always"),
        "steps": webhook_tokens.shown(definition.get("steps", [])),
        "settings": stored.document.get("settings", {}),
        "counts": {
            "entered": counted.entered,
            "active": counted.active,
            "waiting": counted.waiting,
            "completed": counted.completed,
            "dropped": counted.dropped,
            "last_entry_at": _instant(counted.last_entry_at),
        },
        "archived_at": _instant(stored.archived_at),
        "created_at": _instant(stored.created_at),
        "updated_at": _instant(stored.updated_at),
    }


def membership(state: MembershipState) -> Json:
    """Write a membership."""
    return {
        "membership_id": str(state.membership_id),
        "flow_id": str(state.flow_id),
        "contact_id": str(state.contact_id),
        "status": state.status,
        "step_id": state.current_step_id,
        "waiting_until": _instant(state.waiting_until),
        "entry_source": state.entry_source,
        "dynamic_context": state.dynamic_context,
        "entered_at": _instant(state.entered_at),
        "ended_at": _instant(state.ended_at),
        "drop_reason": state.drop_reason,
        "updated_at": _instant(state.updated_at),
    }


def listed(found: StoredMembership) -> Json:
    """Write a membership as it stands in a list."""
    return membership(found.state) | {"run_status": found.run_status}


def member(found: StoredMembership) -> Json:
    """Write a membership with its timeline, oldest first."""
    return listed(found) | {"timeline": [_entry(entry) for entry in found.timeline]}


def _entry(entry: TimelineEntry) -> Json:
    return {
        "sequence": entry.sequence,
        "kind": entry.kind,
        "step_id": entry.step_id,
        "label": entry.label,
        "at": _instant(entry.at),
        "details": entry.details,
    }
