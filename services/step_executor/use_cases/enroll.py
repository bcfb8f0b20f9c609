"""Let a contact into a flow, or say why not."""

from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.contracts.command_replies import CommandDone
from libs.contracts.membership_events import EnrollmentRefused
from libs.contracts.message import derived_id
from libs.contracts.step_commands import Enroll, Remove
from libs.domain.enrollment import History, refusal
from libs.domain.membership import Membership
from libs.domain.step_result import Entered
from libs.domain.walk import drop, walk
from services.step_executor.use_cases.messages import run_of
from services.step_executor.use_cases.unit_of_work import UnitOfWork


def enroll(unit: UnitOfWork, received: Received[Enroll]) -> None:
    """Enroll a contact if the flow's rules allow it; one cause does so at most once."""
    command = received.message
    flow = unit.flow(command.flow_id, command.min_flow_version)
    already = unit.members.get(membership_id_for(command))
    if already is not None:
        _reply(unit, received, None, already)
        return
    inside = unit.live_membership(command.flow_id, command.contact_key) is not None
    history = History(inside, unit.runs.get((command.flow_id, command.contact_id), 0))
    snapshot = unit.snapshot.get(command.contact_key)
    reason = refusal(flow, snapshot, history, unit.now)
    if reason is not None or snapshot is None:
        _refuse(unit, received, reason or "contact_not_found")
        return
    result = walk(flow, _newcomer(unit, command), snapshot, Entered(), unit.now)
    unit.enter(received, command.source_id, result)
    _reply(unit, received, None, result.membership)


def remove(unit: UnitOfWork, received: Received[Remove]) -> None:
    """Drop the contact's current run, if there is one, and answer."""
    command = received.message
    unit.flow(command.flow_id, command.min_flow_version)
    member = unit.live_membership(command.flow_id, command.contact_key)
    if member is None:
        _reply(unit, received, "not_in_flow", None)
        return
    dropped = drop(member, "removed_by_api", unit.now)
    unit.apply(received, dropped)
    _reply(unit, received, None, dropped.membership)


def membership_id_for(command: Enroll) -> UUID:
    """Say which membership a command would make: the same one however often it comes."""
    return derived_id("membership", command.flow_id, command.contact_id, command.source_id)


def _newcomer(unit: UnitOfWork, command: Enroll) -> Membership:
    return Membership(
        membership_id=membership_id_for(command),
        workspace_id=command.workspace_id,
        flow_id=command.flow_id,
        contact_id=command.contact_id,
        entry_source=command.entry_source,
        entered_at=unit.now,
        updated_at=unit.now,
        dynamic_context=command.dynamic_context,
    )


def _refuse(unit: UnitOfWork, received: Received[Enroll], reason: str) -> None:
    command = received.message
    _reply(unit, received, reason, None)
    if command.reply and reason == "contact_not_found":
        return  # the caller knows the contact and asks again: we are only a moment behind
    refused = EnrollmentRefused(
        id=derived_id("refused", command.id),
        time=unit.now,
        workspace_id=command.workspace_id,
        contact_id=command.contact_id,
        flow_id=command.flow_id,
        source_id=command.source_id,
        entry_source=command.entry_source,
        reason=reason,
    )
    unit.enqueue(received, refused)


def _reply(
    unit: UnitOfWork,
    received: Received[Enroll] | Received[Remove],
    reason: str | None,
    member: Membership | None,
) -> None:
    command = received.message
    if isinstance(command, Enroll) and not command.reply:
        return
    done = CommandDone(
        id=derived_id("done", command.id),
        time=unit.now,
        workspace_id=command.workspace_id,
        command_id=command.id,
        refusal=reason,
        run=run_of(member) if member else None,
    )
    unit.enqueue(received, done)
