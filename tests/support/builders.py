"""Building flows, memberships and snapshots for tests."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow
from libs.domain.membership import Membership

NOW = datetime(2026, 7, 2, 9, 0, tzinfo=UTC)
WORKSPACE = UUID(int=1)
FLOW = UUID(int=2)
CONTACT = UUID(int=3)
LIST = UUID("11111111-1111-4111-8111-111111111111")
WELCOME = UUID("f11ef3cf-8664-4fe5-a261-c5b4d647b7d1")
FOLLOWUP = UUID("a3d1b2c4-5e6f-4a7b-8c9d-0e1f2a3b4c5d")
Json = dict[str, Any]

OPENED: Json = {
    "kind": "condition",
    "source": "email_step",
    "step_id": "send-welcome",
    "metric": "opened",
    "operator": "has_activity",
}
WELCOME_STEPS: list[Json] = [
    {"step_id": "send-welcome", "type": "send_email", "email_id": str(WELCOME),
     "edges": {"next": "wait-3-days"}},
    {"step_id": "wait-3-days", "type": "wait", "duration_amount": 3, "duration_unit": "days",
     "edges": {"next": "check-opened"}},
    {"step_id": "check-opened", "type": "condition_check",
     "condition": {"kind": "group", "operator": "and", "conditions": [OPENED]},
     "edges": {"false": "send-followup"}},
    {"step_id": "send-followup", "type": "send_email", "email_id": str(FOLLOWUP)},
]  # fmt: skip
"""The welcome series in the engine's language; `native_steps` gives it as users may write it."""


def native_steps() -> list[Json]:
    """The welcome series, in the native dialect."""
    opened = {**OPENED, "nodeId": OPENED["step_id"]}
    del opened["step_id"]
    welcome, wait, check, followup = WELCOME_STEPS
    return [
        {**_without_edges(welcome), "next_step_id": "wait-3-days"},
        {**_without_edges(wait), "next_step_id": "check-opened"},
        {**_without_edges(check), "false_step_id": "send-followup",
         "condition": {"kind": "group", "operator": "and", "conditions": [opened]}},
        dict(followup),
    ]  # fmt: skip


def _without_edges(step: Json) -> Json:
    return {name: value for name, value in step.items() if name != "edges"}


def a_flow(steps: list[Json] | None = None, **changes: Any) -> Flow:
    """The welcome series, or another flow."""
    whole = {
        "flow_id": FLOW,
        "workspace_id": WORKSPACE,
        "version": 1,
        "status": "active",
        "name": "Welcome series",
        "triggers": [{"type": "added_to_static_list", "list_id": str(LIST)}],
        "steps": WELCOME_STEPS if steps is None else steps,
        **changes,
    }
    return Flow.model_validate(whole)


def a_membership(**changes: Any) -> Membership:
    return Membership(
        **{
            "membership_id": uuid5(FLOW, "member"),
            "workspace_id": WORKSPACE,
            "flow_id": FLOW,
            "contact_id": CONTACT,
            "entry_source": "added_to_static_list",
            "entered_at": NOW,
            "updated_at": NOW,
            **changes,
        }
    )


def snapshot(**fields: Any) -> ContactSnapshot:
    return ContactSnapshot(CONTACT, {"email": "ada@example.com", **fields})
