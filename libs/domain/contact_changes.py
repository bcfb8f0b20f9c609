"""Folding what happens to a contact into what is known of it.

Every projection of contacts (the executor's, the directory's) folds with this one function, so
they cannot come to differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from libs.domain.calendar import to_text
from libs.domain.contact import ContactSnapshot, Scalar


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

    Args:
        contact_id: Whose change it is.
        known: What was known; None if nothing; `deleted` if the contact is gone. Only its creation
            brings a deleted contact back: an update that comes late does not.
        change: What happened.

    Returns:
        What is known now; None if the contact is still unknown.
    """
    if change.deletes:
        return ContactSnapshot(contact_id, deleted=True)
    if known is None or known.deleted:
        comes = change.creates or (known is None and change.introduces)
        return _after(ContactSnapshot(contact_id), change) if comes else known
    return _after(known, change)


def _after(known: ContactSnapshot, change: ContactChange) -> ContactSnapshot:
    if change.joined is not None or change.left is not None:
        return _with_lists(known, change)
    if not (change.creates or change.fields or change.custom_fields):
        return known
    at = to_text(change.at)
    fields = {**known.fields, "updatedAt": at, **change.fields}
    if change.creates:
        fields.setdefault("createdAt", at)
    custom_fields = {**known.custom_fields, **change.custom_fields}
    return ContactSnapshot(known.contact_id, fields, custom_fields, known.lists)


def _with_lists(known: ContactSnapshot, change: ContactChange) -> ContactSnapshot:
    lists = known.lists
    if change.joined is not None and change.joined not in lists:
        lists = lists | {change.joined}
    elif change.left is not None and change.left in lists:
        lists = lists - {change.left}
    if lists is known.lists:
        return known
    return ContactSnapshot(known.contact_id, known.fields, known.custom_fields, lists)
