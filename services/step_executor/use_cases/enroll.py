"""Let a contact into a flow, or say why not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.contracts.command_replies import CommandDone
from libs.contracts.membership_events import EnrollmentRefused
from libs.contracts.message import derived_id
from libs.contracts.step_commands import DueDate, Enroll, FlowStart, Observe, Remove
from libs.domain.contact import ContactSnapshot, Scalar
from libs.domain.enrollment import History, date_refusal, refusal
from libs.domain.flow import Flow
from libs.domain.membership import Membership
from libs.domain.walk import drop
from libs.domain.walk_events import ENTERED
from services.step_executor.store.contacts import ContactKey
from services.step_executor.use_cases.messages import state_of
from services.step_executor.use_cases.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class EnrollRequest:
    """Somebody wants a contact in a flow: an event that starts it, or a caller of the API.

    Attributes:
        source_id: What caused it. One cause enrolls a contact into a flow at most once.
        min_flow_version: The definition that said so.
        depth: How many flows, one causing the next, led to it.
        due_date: The date that has come, if that is why.
    """

    flow_id: UUID
    contact: ContactKey
    min_flow_version: int
    source_id: str
    entry_source: str
    dynamic_context: Mapping[str, Scalar] = field(default_factory=dict)
    depth: int = 0
    due_date: DueDate | None = None

    @classmethod
    def of_start(cls, observe: Observe, start: FlowStart) -> "EnrollRequest":
        """Make it of an event and a flow that it starts."""
        event = observe.event
        return cls(
            start.flow_id,
            observe.contact_key,
            start.min_flow_version,
            f"{event.source}#{event.id}",
            start.trigger_type,
            depth=event.millracedepth,
        )

    @classmethod
    def of_command(cls, command: Enroll) -> "EnrollRequest":
        """Make it of a command."""
        return cls(
            command.flow_id,
            command.contact_key,
            command.min_flow_version,
            command.source_id,
            command.entry_source,
            command.dynamic_context,
            command.depth,
            command.due_date,
        )

    @property
    def membership_id(self) -> UUID:
        """The membership it would make: the same one however often it comes."""
        return derived_id("membership", self.flow_id, self.contact[1], self.source_id)

    def as_command(self, time: datetime) -> Enroll:
        """Write it as a command that can be replayed by itself."""
        return Enroll(
            id=derived_id("enroll", self.flow_id, self.contact[1], self.source_id),
            time=time,
            workspace_id=self.contact[0],
            contact_id=self.contact[1],
            flow_id=self.flow_id,
            min_flow_version=self.min_flow_version,
            source_id=self.source_id,
            entry_source=self.entry_source,
            dynamic_context=dict(self.dynamic_context),
            depth=self.depth,
            due_date=self.due_date,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a contact did not enter."""

    reason: str


def start(unit: UnitOfWork, partition: int, request: EnrollRequest) -> None:
    """Enroll the contact of an event, if the flow's rules allow it.

    Raises:
        NotYet: If the definition that asked for it has not arrived here.
    """
    outcome = _enroll(unit, partition, request)
    if isinstance(outcome, Refused):
        unit.enqueue(partition, _refused(unit, request, outcome.reason))


def enroll(unit: UnitOfWork, partition: int, command: Enroll) -> None:
    """Enroll a contact by command, and answer if the caller waits for it.

    Raises:
        NotYet: If the definition that asked for it has not arrived here.
    """
    request = EnrollRequest.of_command(command)
    outcome = _enroll(unit, partition, request)
    if outcome is None:
        return
    if command.reply:
        _reply(unit, partition, command, outcome)
    if isinstance(outcome, Refused) and not _asks_again(command, outcome):
        unit.enqueue(partition, _refused(unit, request, outcome.reason))


def remove(unit: UnitOfWork, partition: int, command: Remove) -> None:
    """Drop the contact's current membership, if there is one, and answer.

    Raises:
        NotYet: If the definition the caller knew has not arrived here.
    """
    unit.flow(command.flow_id, command.min_flow_version)
    membership = unit.live_membership(command.flow_id, command.contact_key)
    if membership is None:
        _reply(unit, partition, command, Refused("not_in_flow"))
        return
    dropped = drop(membership, "removed_by_api", unit.now)
    unit.apply(partition, dropped)
    _reply(unit, partition, command, dropped.membership)


def _enroll(
    unit: UnitOfWork, partition: int, request: EnrollRequest
) -> Membership | Refused | None:
    """Give the membership, or why there is none; None if this cause enrolled the contact before."""
    flow = unit.flow(request.flow_id, request.min_flow_version)
    membership_id = request.membership_id
    already = unit.memberships.get(membership_id)
    if already is not None:
        return already
    earlier = unit.history.get((request.flow_id, request.contact), set())
    if membership_id in earlier:
        return None
    contact = unit.known_contact(request.contact)
    inside = unit.live_membership(request.flow_id, request.contact) is not None
    history = History(inside, len(earlier), request.depth)
    reason = refusal(flow, contact, history, unit.now)
    if reason is not None or contact is None:
        return Refused(reason or "contact_not_found")
    if request.due_date and (moved := _has_moved(unit, flow, contact, request.due_date)):
        return Refused(moved)
    result = unit.walk(flow, _new(unit, request, membership_id), ENTERED)
    unit.apply(partition, result)
    return result.membership


def _has_moved(
    unit: UnitOfWork, flow: Flow, contact: ContactSnapshot, due_date: DueDate
) -> str | None:
    """Say why a date that was due is not so any more. The scheduler's clock may be ahead."""
    by = max(unit.now, due_date.due_at)
    return date_refusal(flow, contact, due_date.trigger_id, due_date.number, by)


def _new(unit: UnitOfWork, request: EnrollRequest, membership_id: UUID) -> Membership:
    return Membership(
        membership_id=membership_id,
        workspace_id=request.contact[0],
        flow_id=request.flow_id,
        contact_id=request.contact[1],
        entry_source=request.entry_source,
        entered_at=unit.now,
        updated_at=unit.now,
        dynamic_context=request.dynamic_context,
        depth=request.depth,
    )


def _asks_again(command: Enroll, refused: Refused) -> bool:
    """Say whether the caller knows the contact and asks again: we are only a moment behind."""
    return command.reply and refused.reason == "contact_not_found"


def _refused(unit: UnitOfWork, request: EnrollRequest, reason: str) -> EnrollmentRefused:
    return EnrollmentRefused(
        id=derived_id("refused", request.flow_id, request.contact[1], request.source_id),
        time=unit.now,
        workspace_id=request.contact[0],
        contact_id=request.contact[1],
        flow_id=request.flow_id,
        source_id=request.source_id,
        entry_source=request.entry_source,
        reason=reason,
    )


def _reply(
    unit: UnitOfWork, partition: int, command: Enroll | Remove, outcome: Membership | Refused
) -> None:
    done = CommandDone(
        id=derived_id("done", command.id),
        time=unit.now,
        workspace_id=command.workspace_id,
        command_id=command.id,
        refusal=outcome.reason if isinstance(outcome, Refused) else None,
        membership=None if isinstance(outcome, Refused) else state_of(outcome),
    )
    unit.enqueue(partition, done)
