"""contact.commands: the built-in directory does what flows ask, by publishing what changed."""

from collections.abc import Sequence

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_commands import ContactCommand, UpdateContact
from libs.contracts.contact_events import (
    CloudEvent,
    ContactUpdated,
    Fields,
    ListContactAdded,
    ListContactRemoved,
    ListRef,
)

SOURCE = "/millrace/directory"


async def handle_batch(
    tx: Transaction,  # noqa: ARG001  (the directory follows the event, not the command)
    batch: Sequence[Received[ContactCommand]],
) -> list[Outgoing]:
    """Answer each command with the event that says it was done."""
    return [received.causes(_event(received.message)) for received in batch]


def _event(command: ContactCommand) -> CloudEvent:
    envelope = {
        "id": str(command.id),
        "source": SOURCE,
        "subject": command.contact_id,
        "time": command.time,
        "workspaceid": command.workspace_id,
    }
    if isinstance(command, UpdateContact):
        data = Fields(fields=command.fields, custom_fields=command.custom_fields)
        return ContactUpdated.model_validate({**envelope, "data": data})
    adding = command.type == "contact.add_to_list"
    kind = ListContactAdded if adding else ListContactRemoved
    return kind.model_validate({**envelope, "data": ListRef(list_id=command.list_id)})
