"""What a walk says: its timeline, and the effects to carry out."""

from collections.abc import Iterator

from libs.contracts import delivery_commands, timer_commands
from libs.contracts.membership_events import MembershipMoved, Run
from libs.contracts.message import Message, derived_id
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.step_result import Effect, SendEmail, SetTimer
from libs.domain.walk import WalkResult, numbered


def messages_of(result: WalkResult) -> Iterator[Message]:
    """Give the messages of a walk, in order."""
    run = run_of(result.membership)
    for sequence, timeline in numbered(result):
        yield _moved(result.membership, run, sequence, timeline)
    for effect in result.effects:
        yield _effect(result.membership, effect)


def run_of(membership: Membership) -> Run:
    """Give a membership as it travels."""
    return Run(
        membership_id=membership.membership_id,
        flow_id=membership.flow_id,
        contact_id=membership.contact_id,
        status=membership.status,
        current_step_id=membership.step_id if membership.is_live else None,
        waiting_until=membership.waiting_until,
        entry_source=membership.entry_source,
        dynamic_context=dict(membership.dynamic_context),
        entered_at=membership.entered_at,
        ended_at=membership.ended_at,
        drop_reason=membership.drop_reason,
        updated_at=membership.updated_at,
    )


def _moved(member: Membership, run: Run, sequence: int, timeline: TimelineEntry) -> MembershipMoved:
    return MembershipMoved(
        id=derived_id("moved", member.membership_id, sequence),
        time=timeline.at,
        workspace_id=member.workspace_id,
        contact_id=member.contact_id,
        membership_id=member.membership_id,
        sequence=sequence,
        kind=timeline.type,
        step_id=timeline.step_id,
        label=timeline.label,
        details=dict(timeline.details),
        run=run,
    )


def _effect(member: Membership, effect: Effect) -> Message:
    match effect:
        case SetTimer(due_at):
            return timer_commands.SetTimer(
                id=derived_id("timer", member.membership_id, member.hop),
                time=member.updated_at,
                workspace_id=member.workspace_id,
                contact_id=member.contact_id,
                membership_id=member.membership_id,
                hop=member.hop,
                due_at=due_at,
            )
        case SendEmail():
            return _send(member, effect)


def _send(member: Membership, effect: SendEmail) -> delivery_commands.SendEmail:
    return delivery_commands.SendEmail(
        id=derived_id("send", member.membership_id, member.hop),
        time=member.updated_at,
        workspace_id=member.workspace_id,
        contact_id=member.contact_id,
        membership_id=member.membership_id,
        hop=member.hop,
        flow_id=member.flow_id,
        step_id=effect.step_id,
        email_id=effect.email_id,
        operational=effect.operational,
        dynamic_context=dict(member.dynamic_context),
    )
