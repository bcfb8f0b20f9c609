"""Let a contact into a flow, or say why not."""

from uuid import UUID

from libs.chassis.records import Received
from libs.contracts.command_replies import CommandDone
from libs.contracts.membership_events import EnrollmentRefused
from libs.contracts.message import derived_id
from libs.contracts.step_commands import Enroll, Remove
from libs.domain.enrollment import History, refusal
from libs.domain.membership import Membership
from libs.domain.situation import Entered
from libs.domain.walk import drop, walk
from services.step_executor.use_cases.messages import run_of
from services.step_executor.use_cases.workbench import Workbench


def enroll(bench: Workbench, received: Received[Enroll]) -> None:
    """Enroll a contact if the flow's rules allow it; one cause does so at most once."""
    command = received.message
    flow = bench.flow(command.flow_id, command.min_flow_version)
    already = bench.members.get(membership_id_for(command))
    if already is not None:
        _reply(bench, received, None, already)
        return
    inside = bench.live_member(command.flow_id, command.contact_key) is not None
    history = History(inside, bench.runs.get((command.flow_id, command.contact_id), 0))
    facts = bench.facts.get(command.contact_key)
    reason = refusal(flow, facts, history, bench.now)
    if reason is not None or facts is None:
        _refuse(bench, received, reason or "contact_not_found")
        return
    walked = walk(flow, _newcomer(bench, command), facts, Entered(), bench.now)
    bench.enter(received, command.source_id, walked)
    _reply(bench, received, None, walked.membership)


def remove(bench: Workbench, received: Received[Remove]) -> None:
    """Drop the contact's current run, if there is one, and answer."""
    command = received.message
    bench.flow(command.flow_id, command.min_flow_version)
    member = bench.live_member(command.flow_id, command.contact_key)
    if member is None:
        _reply(bench, received, "not_in_flow", None)
        return
    dropped = drop(member, "removed_by_api", bench.now)
    bench.apply(received, dropped)
    _reply(bench, received, None, dropped.membership)


def membership_id_for(command: Enroll) -> UUID:
    """Say which membership a command would make: the same one however often it comes."""
    return derived_id("membership", command.flow_id, command.contact_id, command.source_id)


def _newcomer(bench: Workbench, command: Enroll) -> Membership:
    return Membership(
        membership_id=membership_id_for(command),
        workspace_id=command.workspace_id,
        flow_id=command.flow_id,
        contact_id=command.contact_id,
        entry_source=command.entry_source,
        entered_at=bench.now,
        updated_at=bench.now,
        dynamic_context=command.dynamic_context,
    )


def _refuse(bench: Workbench, received: Received[Enroll], reason: str) -> None:
    command = received.message
    _reply(bench, received, reason, None)
    if command.reply and reason == "contact_not_found":
        return  # the caller knows the contact and asks again: we are only a moment behind
    refused = EnrollmentRefused(
        id=derived_id("refused", command.id),
        time=bench.now,
        workspace_id=command.workspace_id,
        contact_id=command.contact_id,
        flow_id=command.flow_id,
        source_id=command.source_id,
        entry_source=command.entry_source,
        reason=reason,
    )
    bench.say(received, refused)


def _reply(
    bench: Workbench,
    received: Received[Enroll] | Received[Remove],
    reason: str | None,
    member: Membership | None,
) -> None:
    command = received.message
    if isinstance(command, Enroll) and not command.reply:
        return
    done = CommandDone(
        id=derived_id("done", command.id),
        time=bench.now,
        workspace_id=command.workspace_id,
        command_id=command.id,
        refusal=reason,
        run=run_of(member) if member else None,
    )
    bench.say(received, done)
