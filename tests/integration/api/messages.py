"""What the executor tells of memberships, as the API's handler gets it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.contact_events import ADAPTER as CONTACT_EVENTS
from libs.contracts.membership_events import (
    EnrollmentRefused,
    MembershipChanged,
    MembershipEvent,
    MembershipState,
    TimelineEntry,
)
from services.api.handlers import contact_events, membership_events
from tests.support.builders import CONTACT, FLOW, NOW, WORKSPACE, Json

Told = tuple[str, Json]
"""The kind and the details of a timeline entry."""
ENTERED: Told = ("entered_flow", {"source": "contact_created"})
WAITING: Told = ("waiting", {"until": "2026-07-05T09:00:00.000Z"})
WAITED: Told = ("step_executed", {"outcome": "waited"})
COMPLETED: Told = ("completed", {})
DROPPED: Told = ("dropped", {"reason": "removed_by_api"})


@dataclass
class Journey:
    """One membership on its way: every call tells one walk more."""

    membership_id: UUID
    contact_id: UUID = CONTACT
    flow_id: UUID = FLOW
    entered_at: datetime = NOW
    sequence: int = 0
    context: Json | None = None

    def enters(self) -> MembershipChanged:
        return self.walks([ENTERED, WAITING], "waiting", waiting_until=NOW + timedelta(days=3))

    def completes(self) -> MembershipChanged:
        return self.walks([WAITED, COMPLETED], "completed", ended_at=NOW + timedelta(days=3))

    def is_dropped(self, reason: str = "removed_by_api") -> MembershipChanged:
        told = [("dropped", {"reason": reason})]
        return self.walks(told, "dropped", ended_at=NOW, drop_reason=reason)

    def walks(self, told: list[Told], status: str, **changes: Any) -> MembershipChanged:
        first = self.sequence + 1
        self.sequence += len(told)
        entries = [
            TimelineEntry(sequence=number, kind=kind, at=NOW, step_id="w", details=details)
            for number, (kind, details) in enumerate(told, first)
        ]
        state: Json = {
            "membership_id": self.membership_id, "flow_id": self.flow_id,
            "contact_id": self.contact_id, "sequence": self.sequence, "status": status,
            "current_step_id": "w", "waiting_until": None, "entry_source": "contact_created",
            "dynamic_context": self.context or {}, "entered_at": self.entered_at,
            "ended_at": None, "drop_reason": None, "updated_at": NOW, **changes,
        }  # fmt: skip
        return MembershipChanged(
            id=uuid4(),
            time=NOW,
            workspace_id=WORKSPACE,
            contact_id=self.contact_id,
            membership=MembershipState.model_validate(state),
            timeline=entries,
        )


def a_journey(**changes: Any) -> Journey:
    return Journey(uuid4(), **changes)


def a_refusal(**changes: Any) -> EnrollmentRefused:
    whole: Json = {
        "id": uuid4(), "time": NOW, "workspace_id": WORKSPACE, "contact_id": CONTACT,
        "flow_id": FLOW, "source_id": "/crm:ada@x.example-7", "entry_source": "contact_created",
        "reason": "already_in_flow", **changes,
    }  # fmt: skip
    return EnrollmentRefused.model_validate(whole)


async def tell(pool: Pool, *messages: MembershipEvent) -> None:
    """Let the handler have a batch."""
    async with transaction(pool) as tx:
        batch = [Received(message, 0) for message in messages]
        assert await membership_events.handle_batch(tx, batch) == []


def contact_event(kind: str, data: Json, **changes: Any) -> Received[Any]:
    whole: Json = {
        "id": uuid4().hex, "source": "/t", "type": kind, "subject": CONTACT, "time": NOW,
        "workspaceid": WORKSPACE, "data": data, **changes,
    }  # fmt: skip
    return Received(CONTACT_EVENTS.validate_python(whole), 0)


async def tell_of_contacts(pool: Pool, *batch: Received[Any]) -> None:
    """Let the directory have a batch, in a process that has just started."""
    async with transaction(pool) as tx:
        assert await contact_events.handle_batch(tx, batch, known_lists=set()) == []
