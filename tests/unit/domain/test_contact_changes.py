"""Folding what happens to a contact: one function for every projection."""

from datetime import timedelta
from uuid import UUID

from libs.domain.contact import ContactSnapshot
from libs.domain.contact_changes import ContactChange, fold
from tests.support.builders import CONTACT, LIST, NOW

CREATED = ContactChange(NOW, creates=True, introduces=True, fields={"email": "a@b.c"})
UPDATED = ContactChange(NOW, introduces=True, fields={"city": "Rome"})
JOINED = ContactChange(NOW, introduces=True, joined=LIST)
OPENED = ContactChange(NOW)
GONE = ContactChange(NOW, deletes=True)


def after(*changes: ContactChange) -> ContactSnapshot | None:
    known: ContactSnapshot | None = None
    for change in changes:
        known = fold(CONTACT, known, change)
    return known


def test_fields_and_lists_add_up() -> None:
    known = after(CREATED, UPDATED, JOINED)
    assert known is not None
    assert (known.fields["email"], known.fields["city"]) == ("a@b.c", "Rome")
    assert known.lists == {LIST}
    left = fold(CONTACT, known, ContactChange(NOW, left=LIST))
    assert left is not None
    assert left.lists == frozenset()


def test_the_instant_of_creation_stays() -> None:
    later = ContactChange(NOW + timedelta(days=1), creates=True, introduces=True)
    known = after(CREATED, later)
    assert known is not None
    assert known.fields["createdAt"] == "2026-07-02T09:00:00.000Z"
    assert known.fields["updatedAt"] == "2026-07-03T09:00:00.000Z"


def test_an_update_or_a_list_makes_a_contact_known_and_an_opened_mail_does_not() -> None:
    assert after(UPDATED) is not None
    assert after(JOINED) is not None
    assert after(OPENED) is None


def test_a_late_update_does_not_bring_a_deleted_contact_back() -> None:
    gone = after(CREATED, GONE)
    assert gone is not None
    assert (gone.deleted, gone.fields, gone.lists) == (True, {}, frozenset())
    assert after(CREATED, GONE, UPDATED, JOINED, OPENED) == gone
    back = after(CREATED, GONE, CREATED)
    assert back is not None
    assert not back.deleted


def test_what_changes_nothing_gives_the_same_object() -> None:
    known = after(CREATED)
    assert fold(CONTACT, known, OPENED) is known


def test_another_contact_is_its_own() -> None:
    other = fold(UUID(int=9), None, CREATED)
    assert other is not None
    assert other.contact_id == UUID(int=9)
