"""contact.commands: the built-in directory does what flows ask, by publishing what changed."""

from collections.abc import Sequence

from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_commands import ContactCommand
from libs.contracts.contact_events import event_key
from services.api.store import deleted_contacts, directory, published_changes
from services.api.use_cases.contact_commands import DirectoryState, carry_out, list_of


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[ContactCommand]]
) -> list[Outgoing]:
    """Answer each command, once, with the event that says it was done."""
    await directory.hold_contacts(tx, {one.message.contact_key for one in batch})
    fresh = await seen_events.remember_new(tx, batch, lambda command: command.id)
    state = await _read(tx, [one.message for one in fresh.values()])
    answers = [(one, carry_out(state, one.message)) for one in fresh.values()]
    published = [(one, event) for one, event in answers if event is not None]
    last = {one.message.contact_key: event_key(event) for one, event in published}
    await published_changes.put(tx, last)
    return [one.causes(event) for one, event in published]


async def _read(tx: Transaction, commands: Sequence[ContactCommand]) -> DirectoryState:
    keys = {command.contact_key for command in commands}
    contacts = await directory.read_contacts(tx, keys)
    named = {list_key for command in commands if (list_key := list_of(command))}
    return DirectoryState(
        contacts=contacts,
        deleted=await deleted_contacts.among(tx, keys - contacts.keys()),
        lists=await directory.known_lists(tx, named) if named else set(),
        under_way=await published_changes.among(tx, keys),
    )
