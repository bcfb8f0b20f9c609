"""What a walk says to others.

One record about the membership, what it asks of the contact's owner, a timer if it waits for one.
"""

from collections.abc import Iterator
from typing import Any

from libs.contracts.contact_commands import (
    ChangeListMembership,
    ContactCommand,
    UpdateContact,
)
from libs.contracts.membership_events import MembershipChanged, MembershipState
from libs.contracts.message import Message, derived_id, id_in_timeline
from libs.contracts.timer_commands import SetTimer
from libs.domain.contact_changes import ContactChange
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.step_result import TellOwner
from libs.domain.walk import WalkResult, numbered


def messages_of(result: WalkResult) -> Iterator[Message]:
    """Give the messages of a walk, in the order in which they must be read."""
    membership = result.membership
    if result.timeline:
        yield _changed(result)
    yield from _contact_commands(result)
    if membership.waiting_on == "timer" and membership.waiting_until is not None:
        yield SetTimer(
            id=id_in_timeline(membership.membership_id, membership.sequence, 1),
            time=membership.updated_at,
            workspace_id=membership.workspace_id,
            contact_id=membership.contact_id,
            membership_id=membership.membership_id,
            hop=membership.hop,
            due_at=membership.waiting_until,
        )


def _contact_commands(result: WalkResult) -> Iterator[ContactCommand]:
    """Ask the contact's owner for changes: one flow more has led to what comes of them."""
    asked = [effect for effect in result.effects if isinstance(effect, TellOwner)]
    membership = result.membership
    for index, effect in enumerate(asked):
        envelope = {
            "id": derived_id("asked", membership.membership_id, membership.sequence, index),
            "time": membership.updated_at,
            "workspace_id": membership.workspace_id,
            "contact_id": membership.contact_id,
            "depth": membership.depth + 1,
            "differs": effect.differs,
        }
        yield _contact_command(envelope, effect.change)


def _contact_command(envelope: dict[str, Any], change: ContactChange) -> ContactCommand:
    """Write a change as a command: one list, or fields."""
    if list_id := change.joined or change.left:
        kind = "contact.add_to_list" if change.joined else "contact.remove_from_list"
        return ChangeListMembership.model_validate({**envelope, "type": kind, "list_id": list_id})
    fields = {"fields": change.fields, "custom_fields": change.custom_fields}
    return UpdateContact.model_validate({**envelope, **fields})


def state_of(membership: Membership) -> MembershipState:
    """Give a membership as it travels."""
    return MembershipState.model_validate(_state(membership))


def _changed(result: WalkResult) -> MembershipChanged:
    """Write the record of a walk. It is checked as a whole, which costs a fraction of its parts."""
    membership = result.membership
    return MembershipChanged.model_validate(
        {
            "id": id_in_timeline(membership.membership_id, membership.sequence, 0),
            "time": membership.updated_at,
            "workspace_id": membership.workspace_id,
            "contact_id": membership.contact_id,
            "membership": _state(membership),
            "timeline": [_entry(sequence, entry) for sequence, entry in numbered(result)],
        }
    )


def _state(membership: Membership) -> dict[str, Any]:
    return {
        "membership_id": membership.membership_id,
        "flow_id": membership.flow_id,
        "contact_id": membership.contact_id,
        "sequence": membership.sequence,
        "status": membership.status,
        "current_step_id": membership.step_id if membership.is_live else None,
        "waiting_until": membership.waiting_until,
        "entry_source": membership.entry_source,
        "dynamic_context": membership.dynamic_context,
        "entered_at": membership.entered_at,
        "ended_at": membership.ended_at,
        "drop_reason": membership.drop_reason,
        "updated_at": membership.updated_at,
    }


def _entry(sequence: int, entry: TimelineEntry) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": entry.type,
        "at": entry.at,
        "step_id": entry.step_id,
        "label": entry.label,
        "details": entry.details,
    }
