"""Rules about what contacts did, and events that say what they did."""

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.contact_events import ActivityRecorded, EmailEvent, FormSubmitted
from libs.contracts.step_commands import Observe
from tests.support.builders import CONTACT, NOW, WELCOME, Json
from tests.support.executor import cloud, observed


def did(metric: str, operator: str = "has_activity", **more: Any) -> Json:
    given = {name: value for name, value in more.items() if value is not None}
    return {"kind": "condition", "source": "activity", "metric": metric, "operator": operator,
            **given}  # fmt: skip


def ordered(operator: str = "has_activity", **more: Any) -> Json:
    return did("Placed Order", operator, **more)


def recorded(
    metric: str = "Placed Order", at: datetime = NOW, contact: UUID = CONTACT, **more: Any
) -> Observe:
    event = {**cloud(contact), "time": at, "data": {"metric": metric}, **more}
    return observed(ActivityRecorded.model_validate(event))


def submitted(form_id: str, at: datetime = NOW, tent_id: UUID | None = None) -> Observe:
    event = {**cloud(), "time": at, "data": {"form_id": form_id, "tent_id": tent_id}}
    return observed(FormSubmitted.model_validate(event))


def mailed(kind: str, at: datetime = NOW, **data: Any) -> Observe:
    event = {**cloud(), "time": at, "type": f"email.{kind}", "data": {"email_id": WELCOME, **data}}
    return observed(EmailEvent.model_validate(event))
