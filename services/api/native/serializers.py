"""How things look in the native dialect: key order and formats as documented (README.md)."""

from datetime import datetime
from typing import Any

from libs.contracts.membership_events import MembershipState, TimelineEntry
from libs.domain.calendar import to_text
from services.api.native.render import document_of
from services.api.store.contact_lists import StoredList
from services.api.store.counts import Counts
from services.api.store.directory import StoredContact
from services.api.store.emails import StoredEmail
from services.api.store.flows import StoredFlow
from services.api.store.form_submissions import StoredSubmission
from services.api.store.memberships import StoredMembership
from services.api.store.page_templates import StoredTemplate
from services.api.use_cases import emails, webhook_tokens

_CONTACT_KEYS = {
    "email": "email",
    "phone": "phone",
    "display_name": "displayName",
    "first_name": "firstName",
    "last_name": "lastName",
}
_FAILURES = {"going_in_circles": "The contact went round in circles that take no time"}
"""What ends a run as failed without any step having failed."""
_EMAIL_FIELDS = "subject preview_text from_name from_address reply_to_email".split()


def instant(value: datetime | None) -> str | None:
    """Write an instant, or null."""
    return to_text(value) if value else None


def flow(stored: StoredFlow, counts: Counts | None = None) -> dict[str, Any]:
    """Write a flow; triggers, steps and rules as they were sent."""
    content, counted = document_of(stored), counts or Counts()
    return {
        "flow_id": str(stored.flow_id),
        "type": "triggered_flow",
        "name": content["name"],
        "description": content.get("description"),
        "status": stored.status,
        "triggers": content.get("triggers", []),
        "steps": webhook_tokens.shown(content.get("steps", [])),
        "disqualification_rules": content.get("disqualification_rules"),
        "reentry_policy": content.get("reentry_policy", "allow"),
        "manual_membership_enabled": True,
        "settings": content.get("settings", {}),
        "details": {
            "total_entered": counted.entered,
            "active_count": counted.active,
            "waiting_count": counted.waiting,
            "completed_count": counted.completed,
            "dropped_count": counted.dropped,
            "most_recent_entry_at": instant(counted.last_entry_at),
        },
        "archived_at": instant(stored.archived_at),
        "created_at": instant(stored.created_at),
        "updated_at": instant(stored.updated_at),
    }


def membership(state: MembershipState) -> dict[str, Any]:
    """Write a membership."""
    completed = state.status == "completed"
    return {
        "membership_id": str(state.membership_id),
        "flow_id": str(state.flow_id),
        "contact_id": str(state.contact_id),
        "status": state.status,
        "current_step_id": state.current_step_id,
        "waiting_until": instant(state.waiting_until),
        "entry_source": state.entry_source,
        "entered_at": instant(state.entered_at),
        "completed_at": instant(state.ended_at) if completed else None,
        "dropped_at": None if completed else instant(state.ended_at),
        "drop_reason": state.drop_reason,
        "updated_at": instant(state.updated_at),
    }


def member(found: StoredMembership, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write a membership with its contact and the steps it executed."""
    state = found.state
    return membership(state) | {
        "run_status": found.run_status,
        "contact": {"contact_id": str(state.contact_id)}
        | {key: found.contact.get(name) for key, name in _CONTACT_KEYS.items()},
        "current_step": _step(state.current_step_id, steps) if state.current_step_id else None,
        "exited_at": instant(state.ended_at),
        "executed_steps": [
            _step(entry.step_id, steps, entry.label)
            | {"executed_at": instant(entry.at), "outcome": entry.details.get("outcome")}
            for entry in found.timeline
            if entry.kind == "step_executed"
        ],
    }


def member_details(found: StoredMembership, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write all of a membership, with its timeline, oldest first."""
    return member(found, steps) | {
        "failure": _failure(found),
        "dynamic_context": found.state.dynamic_context,
        "timeline": [_entry(entry) for entry in found.timeline],
    }


def _step(
    step_id: str | None, steps: dict[str, dict[str, Any]], label: str | None = None
) -> dict[str, Any]:
    """Write a step as it is now; of one that was removed since, its label is known."""
    step = steps.get(step_id or "", {"label": label})
    return {"step_id": step_id, "type": step.get("type"), "label": step.get("label")}


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    return {
        "sequence": entry.sequence,
        "type": entry.kind,
        "step_id": entry.step_id,
        "label": entry.label,
        "occurred_at": instant(entry.at),
        "details": entry.details,
    }


def _failure(found: StoredMembership) -> dict[str, Any] | None:
    """Say what failed last: what ended the run, or a step that failed while the run went on."""
    ended_by = found.state.drop_reason if found.run_status == "failed" else None
    failed = [entry for entry in found.timeline if entry.kind == "step_failed"]
    if ended_by in _FAILURES:
        failed = [entry for entry in found.timeline if entry.kind == "dropped"]
    if not failed:
        return None
    last = failed[-1]
    code = ended_by or "step_failed"
    said = _FAILURES.get(code) or last.details.get("reason")
    return {"step_id": last.step_id, "code": code, "message": said, "at": instant(last.at)}


def email(stored: StoredEmail) -> dict[str, Any]:
    """Write a mail."""
    return {
        "email_id": str(stored.email_id),
        "name": stored.content["name"],
        "status": stored.status,
        **{name: stored.content.get(name) for name in _EMAIL_FIELDS},
        "html": stored.content.get("html"),
        "text": stored.content.get("text"),
        "version": stored.version,
        "approved_at": instant(stored.approved_at),
        "created_at": instant(stored.created_at),
        "updated_at": instant(stored.updated_at),
    }


def template(stored: StoredTemplate) -> dict[str, Any]:
    """Write a template of web pages."""
    return template_head(stored) | {"html": stored.html}


def template_head(stored: StoredTemplate) -> dict[str, Any]:
    """Write a template of web pages without its HTML."""
    return {
        "template_id": stored.template_id,
        "name": stored.name,
        "status": stored.status,
        "version": stored.version,
        "approved_at": instant(stored.approved_at),
        "created_at": instant(stored.created_at),
        "updated_at": instant(stored.updated_at),
    }


def plain_text(stored: StoredEmail) -> dict[str, Any]:
    """Write the text part of a mail."""
    return {
        "email_id": str(stored.email_id),
        "version": stored.version,
        "plain_text": emails.text_of(stored),
        "overridden": stored.content.get("text") is not None,
        "stale_after_html_iteration": stored.text_is_stale,
    }


def contact_list(stored: StoredList) -> dict[str, Any]:
    """Write a list; the rules of a dynamic one as they were sent."""
    return {
        "list_id": str(stored.list_id),
        "kind": stored.kind,
        "name": stored.name,
        "description": stored.description,
        "rules": stored.written,
        "created_at": instant(stored.created_at),
        "updated_at": instant(stored.updated_at),
    }


def custom_field(stored: dict[str, Any]) -> dict[str, Any]:
    """Write a custom field; what rules call `string` is `text` here (README.md)."""
    return {
        "custom_field_id": str(stored["custom_field_id"]),
        "name": stored["name"],
        "api_name": stored["api_name"],
        "type": "text" if stored["type"] == "string" else stored["type"],
        "active": stored["active"],
    }


def form_submission(stored: StoredSubmission) -> dict[str, Any]:
    """Write a submission that is nobody's."""
    return {
        "submission_id": stored.submission_id,
        "form_id": stored.form_id,
        "tent_id": str(stored.tent_id) if stored.tent_id else None,
        "fields": stored.fields,
        "submitted_at": instant(stored.submitted_at),
    }


def contact(stored: StoredContact) -> dict[str, Any]:
    """Write a contact: standard fields by their camelCase key, custom ones by api name."""
    known = stored.snapshot
    return {
        "contact_id": str(known.contact_id),
        "fields": known.fields,
        "custom_fields": known.custom_fields,
        "list_ids": sorted(map(str, known.lists)),
        "created_at": instant(stored.created_at),
        "updated_at": instant(stored.updated_at),
    }


def refusal(stored: dict[str, Any]) -> dict[str, Any]:
    """Write why a contact did not get into a flow."""
    return {
        "flow_id": str(stored["flow_id"]),
        "contact_id": str(stored["contact_id"]),
        "reason": stored["reason"],
        "entry_source": stored["entry_source"],
        "source_id": stored["source_id"],
        "refused_at": instant(stored["refused_at"]),
    }
