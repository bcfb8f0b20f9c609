"""What a batch must read: which memberships its commands mean, and which facts its events touch."""

from collections.abc import Mapping, Sequence

from libs.chassis.exactly_once.records import Received
from libs.contracts.contact_events import (
    ContactDeleted,
    ContactEvent,
    EmailEvent,
)
from libs.contracts.message import AboutContact
from libs.contracts.step_commands import (
    Enroll,
    FinishPage,
    Observe,
    Remove,
    Resume,
    StepCommand,
)
from libs.domain.contact import EmailMetric
from libs.domain.listening import Engaged, keys_of
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.memberships import NeededMemberships

_METRICS: Mapping[str, EmailMetric] = {
    "email.delivered": "delivered",
    "email.opened": "opened",
    "email.clicked": "clicked",
    "email.bounced": "bounced",
    "email.unsubscribed": "unsubscribed",
}


def engaged_by(event: EmailEvent) -> Engaged | None:
    """Say what became of which mail of the run that the event names, if it is noted at all."""
    metric, step_id = _METRICS.get(event.type), event.data.step_id
    return Engaged(step_id, metric) if metric and step_id and event.data.membership_id else None


def touched_by(event: ContactEvent) -> frozenset[int]:
    """Give the keys of the facts that an event changes."""
    engaged = engaged_by(event) if isinstance(event, EmailEvent) else None
    return keys_of(event.change, engaged, event.done)


def needed_by(batch: Sequence[Received[StepCommand]]) -> dict[ContactKey, NeededMemberships]:
    """Say which memberships of which contacts are needed by the commands about one contact."""
    needed: dict[ContactKey, NeededMemberships] = {}
    for received in batch:
        command = received.message
        if isinstance(command, AboutContact):
            _add(need(needed, command.contact_key, received.partition), command)
    return needed


def need(
    needed: dict[ContactKey, NeededMemberships], contact: ContactKey, partition: int
) -> NeededMemberships:
    """Give what is needed of a contact, to be added to; nothing yet if it was not named before."""
    found = needed.get(contact)
    if found is None:
        found = needed[contact] = NeededMemberships(partition)
    return found


def partitions_of(needed: Mapping[ContactKey, NeededMemberships]) -> dict[ContactKey, int]:
    """Say in which partition each contact lives that something is needed of."""
    return {contact: one.partition for contact, one in needed.items()}


def _add(needed: NeededMemberships, command: AboutContact) -> None:
    match command:
        case Observe(piece=piece):
            if command.starts:
                needed.flow_ids.update(start.flow_id for start in command.starts)
            if piece == 0:
                _add_event(needed, command.event)
        case Enroll(flow_id=flow_id) | Remove(flow_id=flow_id):
            needed.flow_ids.add(flow_id)
        case Resume(membership_id=membership_id) | FinishPage(membership_id=membership_id):
            needed.membership_ids.add(membership_id)
        case _:
            return


def _add_event(needed: NeededMemberships, event: ContactEvent) -> None:
    if isinstance(event, ContactDeleted):
        needed.everything = True
        return
    if isinstance(event, EmailEvent) and event.data.membership_id:
        needed.membership_ids.add(event.data.membership_id)
    keys = touched_by(event)
    needed.keys = keys if needed.keys is None else needed.keys | keys
