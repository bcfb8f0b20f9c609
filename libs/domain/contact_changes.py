"""Folding what happens to a contact into what is known of it.

Every projection of contacts (the executor's, the directory's) folds with this one function, so
they cannot come to differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.domain.calendar import to_text
from libs.domain.contact import (
    SINCE,
    ContactSnapshot,
    Scalar,
    custom_field_key,
    field_key,
    list_key,
)


@dataclass(frozen=True, slots=True)
class ContactChange:
    """One change of a contact.

    Attributes:
        at: When it happened.
        creates: Whether it says that the contact came into being.
        introduces: Whether an unknown contact becomes known by it. Others may come long after a
            contact is gone: whoever opens an old mail must not bring its recipient back.
        deletes: Whether the contact is gone.
        fields: Standard fields by camelCase key, with their new values; None empties one.
        custom_fields: Custom fields by api name.
        joined: The list the contact was put on, if it was.
        left: The list the contact was taken off, if it was.
    """

    at: datetime
    creates: bool = False
    introduces: bool = False
    deletes: bool = False
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    custom_fields: Mapping[str, Scalar] = field(default_factory=dict)
    joined: UUID | None = None
    left: UUID | None = None


def same_value(known: Scalar, new: Scalar) -> bool:
    """Say whether two values of a field are the same. Empty text and no value are, as in rules."""
    if isinstance(known, bool) is not isinstance(new, bool):
        return False
    return (None if known == "" else known) == (None if new == "" else new)


def differs(known: ContactSnapshot, change: ContactChange) -> bool:
    """Say whether a change makes any difference to what is known of a contact that is there."""
    standard = (same_value(known.fields.get(key), new) for key, new in change.fields.items())
    custom = (
        same_value(known.custom_fields.get(key), new) for key, new in change.custom_fields.items()
    )
    joins = change.joined is not None and change.joined not in known.lists
    leaves = change.left is not None and change.left in known.lists
    return joins or leaves or not (all(standard) and all(custom))


def fold(
    contact_id: UUID, known: ContactSnapshot | None, change: ContactChange
) -> ContactSnapshot | None:
    """Give what is known of a contact after a change.

    Of two things that are said of one fact, the later one counts, whichever comes first: a change
    that comes late, or again, never overwrites what was said after it.

    Args:
        contact_id: Whose change it is.
        known: What was known; None if nothing; `deleted` if the contact is gone. Only its creation
            brings a deleted contact back: an update that comes late does not.
        change: What happened.

    Returns:
        What is known now, the same object if nothing is new; None if the contact is still unknown.
    """
    at = _micros(change.at)
    is_late = known is not None and at < known.times.get(SINCE, at)
    if change.deletes:
        return known if is_late else ContactSnapshot(contact_id, deleted=True, times={SINCE: at})
    if known is None or known.deleted:
        comes = change.creates or (known is None and change.introduces)
        if not comes or is_late:
            return known
        known = ContactSnapshot(contact_id, times={SINCE: at})
    if change.joined is not None or change.left is not None:
        return _with_lists(known, change, at)
    if not (change.creates or change.fields or change.custom_fields):
        return known
    return _with_fields(known, change, at)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


def _with_fields(known: ContactSnapshot, change: ContactChange, at: int) -> ContactSnapshot:
    text, times = to_text(change.at), dict(known.times)
    said = {"updatedAt": text, **change.fields}
    fields = _newest(known.fields, said, field_key, times, at)
    if change.creates:
        fields.setdefault("createdAt", text)
    custom = _newest(known.custom_fields, change.custom_fields, custom_field_key, times, at)
    if (fields, custom, times) == (known.fields, known.custom_fields, known.times):
        return known
    return ContactSnapshot(known.contact_id, fields, custom, known.lists, times=times)


def _newest(
    known: Mapping[str, Scalar],
    said: Mapping[str, Scalar],
    key_of: Callable[[str], str],
    times: dict[str, int],
    at: int,
) -> dict[str, Scalar]:
    """Take what is said of each field, unless something was said of it later."""
    since, after = times.get(SINCE, at), dict(known)
    for name, value in said.items():
        key = key_of(name)
        if at < times.get(key, since if name in known else at):
            continue
        after[name] = value
        if at != since or key in times:
            times[key] = at
    return after


def _with_lists(known: ContactSnapshot, change: ContactChange, at: int) -> ContactSnapshot:
    list_id = change.joined or change.left
    if list_id is None:
        return known
    key, since = list_key(list_id), known.times.get(SINCE, at)
    if at < known.times.get(key, since if list_id in known.lists else at):
        return known
    stays = change.joined is None or at != since or key in known.times
    times = {**known.times, key: at} if stays and SINCE in known.times else known.times
    lists = known.lists | {list_id} if change.joined else known.lists - {list_id}
    if (lists, times) == (known.lists, known.times):
        return known
    return ContactSnapshot(known.contact_id, known.fields, known.custom_fields, lists, times=times)
