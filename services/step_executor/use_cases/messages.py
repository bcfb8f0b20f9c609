"""What a walk says to others.

One record about the membership, what it asks of the contact's owner, the page it asks for, a timer
if it waits for one.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.contact_commands import (
    ChangeListMembership,
    ContactCommand,
    UpdateContact,
)
from libs.contracts.membership_events import (
    MembershipChanged,
    MembershipState,
    PageRequested,
)
from libs.contracts.message import Message, derived_id, id_in_timeline
from libs.contracts.timer_commands import SetTimer
from libs.domain.contact_changes import ContactChange
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.step_result import RequestPage, TellOwner
from libs.domain.walk import WalkResult, numbered


def messages_of(result: WalkResult) -> Iterator[Message]:
    """Give the messages of a walk, in the order in which they must be read."""
    membership = result.membership
    if result.timeline:
        yield _changed(result)
    if result.effects:
        yield from _contact_commands(result)
        yield from _pages(result)
    if result.stands and membership.waiting_until is not None:
        yield SetTimer(
            id=_timer_id(result),
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


def _pages(result: WalkResult) -> Iterator[PageRequested]:
    """Ask for the page the membership has come to stand at."""
    membership = result.membership
    for effect in result.effects:
        if isinstance(effect, RequestPage):
            yield PageRequested(
                id=derived_id("page", membership.membership_id, membership.hop),
                time=membership.updated_at,
                workspace_id=membership.workspace_id,
                contact_id=membership.contact_id,
                membership_id=membership.membership_id,
                flow_id=membership.flow_id,
                hop=membership.hop,
                template_id=effect.template_id,
                prompt=effect.prompt,
                name=effect.name,
                alias=effect.alias,
                publish=effect.publish,
                contact=dict(effect.contact),
                run=dict(effect.run),
            )


def _timer_id(result: WalkResult) -> UUID:
    """Name a timer: by what the walk told, or by the hop where it told nothing."""
    membership = result.membership
    if result.timeline:
        return id_in_timeline(membership.membership_id, membership.sequence, 1)
    return derived_id("timer", membership.membership_id, membership.hop)


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
        "waiting_until": _goes_on_at(membership),
        "entry_source": membership.entry_source,
        "dynamic_context": membership.dynamic_context,
        "entered_at": membership.entered_at,
        "ended_at": membership.ended_at,
        "drop_reason": membership.drop_reason,
        "updated_at": membership.updated_at,
    }


def _goes_on_at(membership: Membership) -> datetime | None:
    """Say when it goes on at the latest; when a condition is judged anew is nobody's concern."""
    if membership.waiting_on == "event":
        return membership.times_out_at
    return None if membership.waiting_on == "answer" else membership.waiting_until


def _entry(sequence: int, entry: TimelineEntry) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": entry.type,
        "at": entry.at,
        "step_id": entry.step_id,
        "label": entry.label,
        "details": entry.details,
    }
