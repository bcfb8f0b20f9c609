"""What flows ask the built-in directory for: judged against what it knows, answered by an event.

A write is an event first: the directory publishes what changed and follows that, like everyone.
What changes nothing is not published, but only if that is certain: the flow that asked saw no
difference, the directory sees none, and no change that it has published is still on its way. For
the directory may be behind the very event that made the flow ask.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from prometheus_client import Counter

from libs.chassis.telemetry.logs import logger
from libs.contracts.contact_commands import ChangeListMembership, ContactCommand, UpdateContact
from libs.contracts.contact_events import (
    ContactEvent,
    ContactUpdated,
    Fields,
    ListContactAdded,
    ListContactRemoved,
    ListRef,
)
from libs.domain.contact_changes import differs
from services.api.store.directory import ContactKey, ListKey, StoredContact

SOURCE = "/millrace/directory"
OUTCOMES = Counter(
    "millrace_contact_commands_total",
    "What became of what flows asked the built-in directory for.",
    ["outcome"],
)
Outcome = Literal["published", "contact_unknown", "unchanged", "contact_deleted", "list_unknown"]
_PUBLISHED: Collection[Outcome] = ("published", "contact_unknown")
_log = logger(__name__)


@dataclass(slots=True)
class DirectoryState:
    """What the directory knows of the contacts and lists that a batch names.

    Attributes:
        contacts: The contacts that are there.
        deleted: Those that are gone.
        lists: The lists that exist.
        under_way: Contacts of which a change is published that has not been followed yet.
    """

    contacts: dict[ContactKey, StoredContact]
    deleted: set[ContactKey]
    lists: set[ListKey]
    under_way: set[ContactKey]


def list_of(command: ContactCommand) -> ListKey | None:
    """Name the list a command is about, if it is about one."""
    if isinstance(command, ChangeListMembership):
        return command.workspace_id, command.list_id
    return None


def carry_out(state: DirectoryState, command: ContactCommand) -> ContactEvent | None:
    """Give the event that answers a command; None, recorded, if there is nothing to publish.

    A contact that the directory has not heard of may be one whose creation it has yet to read, so
    its change is published: it comes after the creation for everyone.
    """
    event = _event(command)
    outcome = _outcome(state, command, event)
    OUTCOMES.labels(outcome).inc()
    if outcome not in ("published", "unchanged"):
        _log.warning(
            "contact_command.not_as_expected",
            outcome=outcome,
            command_id=str(command.id),
            workspace_id=str(command.workspace_id),
            contact_id=str(command.contact_id),
        )
    if outcome not in _PUBLISHED:
        return None
    state.under_way.add(command.contact_key)
    return event


def _outcome(state: DirectoryState, command: ContactCommand, event: ContactEvent) -> Outcome:
    key, list_key = command.contact_key, list_of(command)
    contact = state.contacts.get(key)
    if contact is None and key in state.deleted:
        return "contact_deleted"
    if list_key is not None and list_key not in state.lists:
        return "list_unknown"
    if contact is None:
        return "contact_unknown"
    certain = not command.differs and key not in state.under_way
    if certain and not differs(contact.snapshot, event.change):
        return "unchanged"
    return "published"


def _event(command: ContactCommand) -> ContactEvent:
    envelope = {
        "id": str(command.id),
        "source": SOURCE,
        "subject": command.contact_id,
        "time": command.time,
        "workspaceid": command.workspace_id,
        "millracedepth": command.depth,
    }
    if isinstance(command, UpdateContact):
        data = Fields(fields=command.fields, custom_fields=command.custom_fields)
        return ContactUpdated.model_validate({**envelope, "data": data})
    adding = command.type == "contact.add_to_list"
    kind = ListContactAdded if adding else ListContactRemoved
    return kind.model_validate({**envelope, "data": ListRef(list_id=command.list_id)})


def ours(events: dict[UUID, ContactEvent]) -> dict[ContactKey, UUID]:
    """Pick what this directory published: the key of the last event of each contact."""
    return {
        (event.workspaceid, event.subject): key
        for key, event in events.items()
        if event.source == SOURCE
    }
