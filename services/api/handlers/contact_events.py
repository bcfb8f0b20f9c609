"""contact.events: the built-in directory follows every event about a contact."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import ContactEvent, event_key
from libs.domain.contact import SINCE, ContactSnapshot
from libs.domain.contact_changes import ContactChange, fold
from services.api.store import deleted_contacts, directory, published_changes
from services.api.store.directory import ContactKey, ListKey, ListMember, StoredContact
from services.api.use_cases import contact_commands, erasure

_MOST_LISTS = 100_000
_NEVER = datetime.min.replace(tzinfo=UTC)
Change = tuple[ContactKey, ContactChange]


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[ContactEvent]], *, known_lists: set[ListKey]
) -> list[Outgoing]:
    """Fold a batch into the contacts it changes; the same event id counts once.

    Lists that events name become known. Events that can change nothing are not remembered.

    Args:
        tx: The transaction.
        batch: The events.
        known_lists: Lists that are known to exist. They are never deleted, so a process need ask
            for each but once.
    """
    relevant = [one for one in batch if _matters(one.message.change)]
    if relevant:
        await directory.hold_contacts(tx, {_key_of(one) for one in relevant})
        fresh = await seen_events.remember_new(tx, relevant, event_key)
        changes = [(_key_of(one), one.message.change) for one in fresh.values()]
        await _apply(tx, changes, known_lists)
        events = {key: one.message for key, one in fresh.items()}
        await published_changes.followed(tx, contact_commands.ours(events))
    return []


def _key_of(received: Received[ContactEvent]) -> ContactKey:
    return received.message.workspaceid, received.message.subject


def _matters(change: ContactChange) -> bool:
    """Say whether it may change anything; most of what contacts do does not."""
    return bool(
        change.introduces
        or change.deletes
        or change.fields
        or change.custom_fields
        or change.joined
        or change.left
    )


async def _apply(tx: Transaction, changes: Sequence[Change], known_lists: set[ListKey]) -> None:
    if changes:
        before = await _read(tx, {key for key, _ in changes})
        after = fold_all(before, changes)
        await _write(tx, before, after, {key for key, change in changes if change.deletes})
        await _put_lists(tx, _named(changes, known_lists), known_lists)


async def _read(tx: Transaction, keys: set[ContactKey]) -> dict[ContactKey, StoredContact]:
    """Read contacts, also those of which only is known that they are gone."""
    contacts = await directory.read_contacts(tx, keys)
    gone = await deleted_contacts.said(tx, keys - contacts.keys())
    return contacts | {key: _gone(key, said_at) for key, said_at in gone.items()}


def _gone(key: ContactKey, said_at: int) -> StoredContact:
    workspace_id, contact_id = key
    snapshot = ContactSnapshot(contact_id, deleted=True, times={SINCE: said_at})
    return StoredContact(workspace_id, snapshot, _NEVER, _NEVER)


def fold_all(
    before: dict[ContactKey, StoredContact], changes: Iterable[Change]
) -> dict[ContactKey, StoredContact]:
    """Give the contacts that differ after these changes, as they are then."""
    after = dict(before)
    for key, change in changes:
        known = after.get(key)
        snapshot = fold(key[1], known.snapshot if known else None, change)
        if snapshot is None or (known and snapshot is known.snapshot):
            continue
        created_at = updated_at = change.at
        if known and not known.snapshot.deleted:
            created_at, updated_at = known.created_at, max(known.updated_at, change.at)
        after[key] = StoredContact(key[0], snapshot, created_at, updated_at)
    return {
        key: one
        for key, one in after.items()
        if key not in before or _differs(one.snapshot, before[key].snapshot)
    }


def _differs(one: ContactSnapshot, before: ContactSnapshot) -> bool:
    """Say whether anything else is known, or when it was said."""
    return one != before or one.times != before.times


async def _write(
    tx: Transaction,
    before: dict[ContactKey, StoredContact],
    after: dict[ContactKey, StoredContact],
    deleted: Collection[ContactKey],
) -> None:
    gone = {key: one.snapshot.times[SINCE] for key, one in after.items() if one.snapshot.deleted}
    was_gone = {key for key, one in before.items() if one.snapshot.deleted}
    here = [one for one in after.values() if not one.snapshot.deleted]
    await directory.write_contacts(tx, here)
    await directory.delete_contacts(tx, list(gone))
    await directory.write_members(tx, *_moves(before, after))
    await deleted_contacts.add(tx, gone)
    # Who comes back is a new person to us: what is held of the former one goes before.
    if back := [one.key for one in here if one.key in was_gone or one.key in deleted]:
        await erasure.erase(tx, back)
        await deleted_contacts.remove(tx, back)


def _moves(
    before: dict[ContactKey, StoredContact], after: dict[ContactKey, StoredContact]
) -> tuple[list[ListMember], list[ListMember]]:
    """Say who came on lists, and who went off."""
    joined: list[ListMember] = []
    left: list[ListMember] = []
    for (workspace_id, contact_id), one in after.items():
        known = before.get((workspace_id, contact_id))
        was = known.snapshot.lists if known else frozenset()
        joined += [(workspace_id, each, contact_id) for each in one.snapshot.lists - was]
        left += [(workspace_id, each, contact_id) for each in was - one.snapshot.lists]
    return joined, left


def _named(changes: Iterable[Change], known_lists: set[ListKey]) -> dict[ListKey, datetime]:
    """Say which lists events name that we do not know yet, and when they do."""
    named: dict[ListKey, datetime] = {}
    for (workspace_id, _), change in changes:
        list_id = change.joined or change.left
        if list_id and (workspace_id, list_id) not in known_lists:
            named[workspace_id, list_id] = change.at
    return named


async def _put_lists(
    tx: Transaction, named: dict[ListKey, datetime], known_lists: set[ListKey]
) -> None:
    if not named:
        return
    # Only what was there before is sure to stay: this transaction may be undone.
    there = await directory.known_lists(tx, named)
    if len(known_lists) > _MOST_LISTS:
        known_lists.clear()
    known_lists |= there
    await directory.put_lists(tx, {key: at for key, at in named.items() if key not in there})
