"""Flows in which contacts wait for conditions, and what happens to them meanwhile."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.contact_events import ContactUpdated, EmailEvent
from libs.contracts.step_commands import ApplyFlow, Observe, Resume
from libs.contracts.timer_commands import SetTimer
from libs.domain.flow import Flow
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME, WORKSPACE, Json, a_flow
from tests.support.executor import cloud, envelope, observed


def field(name: str, operator: str, value: Any = None) -> Json:
    rule = {"kind": "condition", "source": "contact_field", "field": name, "operator": operator}
    return rule if value is None else {**rule, "value": value}


def a_guard(rule: Json) -> Json:
    """Keep out and drop who matches."""
    return {"rule": rule, "wants": False}


def ago(amount: int, unit: str) -> Json:
    return {"relative": {"amount": amount, "unit": unit, "direction": "ago"}}


def mail(metric: str) -> Json:
    return {"kind": "condition", "source": "email_step", "step_id": "send-welcome",
            "metric": metric, "operator": "has_activity"}  # fmt: skip


ROME = field("city", "equals", "Rome")
GONE_QUIET = field("lastActivityAt", "less_than_or_equal", ago(30, "days"))


def waiting(condition: Json, **more: Any) -> list[Json]:
    """Wait for a condition, then stand for a day; if it times out, stand for a week."""
    edges = more.pop("edges", {})
    return [
        {
            "step_id": "until",
            "type": "wait",
            "condition": condition,
            "edges": {"next": "met", **edges},
            **more,
        },
        {"step_id": "met", "type": "wait", "duration_amount": 1, "duration_unit": "days"},
        {"step_id": "late", "type": "wait", "duration_amount": 1, "duration_unit": "weeks"},
    ]


TIMEOUT: Json = {"timeout_amount": 2, "timeout_unit": "days", "edges": {"timeout": "late"}}


def a_waiting_flow(condition: Json, version: int = 2, **changes: Any) -> Flow:
    timeout = changes.pop("timeout", {})
    return a_flow(waiting(condition, **timeout), version=version, **changes)


def updated(at: datetime = NOW, contact: UUID = CONTACT, **fields: Any) -> Observe:
    event = {**cloud(contact), "time": at, "data": {"fields": fields}}
    return observed(ContactUpdated.model_validate(event))


def engaged(membership_id: UUID, metric: str, contact: UUID = CONTACT) -> Observe:
    data = {"email_id": WELCOME, "membership_id": membership_id, "step_id": "send-welcome"}
    event = {**cloud(contact), "type": f"email.{metric}", "data": data}
    return observed(EmailEvent.model_validate(event))


def apply(version: int) -> ApplyFlow:
    return ApplyFlow(
        id=uuid4(), time=NOW, workspace_id=WORKSPACE, flow_id=FLOW, version=version, partition=0
    )


def fires(timer: SetTimer) -> Resume:
    """What the scheduler says when a timer is due."""
    return Resume(
        **envelope(timer.contact_id, timer.workspace_id),
        membership_id=timer.membership_id, hop=timer.hop, due_at=timer.due_at,
    )  # fmt: skip
