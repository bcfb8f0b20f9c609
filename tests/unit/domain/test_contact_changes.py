"""Folding what happens to a contact: one function for every projection."""

from datetime import timedelta
from itertools import permutations
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


def test_r11_of_two_things_said_of_a_fact_the_later_counts_whichever_comes_first() -> None:
    """In whatever order changes come, what is known in the end is the same."""
    hour = timedelta(hours=1)
    changes = [
        CREATED,
        ContactChange(NOW + hour, introduces=True, fields={"city": "Rome", "company": "Acme"}),
        ContactChange(NOW + 2 * hour, introduces=True, fields={"city": "Oslo"}),
        ContactChange(NOW + 3 * hour, introduces=True, custom_fields={"plan": "gold"}),
        ContactChange(NOW + 4 * hour, introduces=True, joined=LIST),
        ContactChange(NOW + 5 * hour, left=LIST),
    ]
    expected = after(*changes)
    assert expected is not None
    assert (expected.fields["city"], expected.fields["company"]) == ("Oslo", "Acme")
    for order in permutations(changes[1:]):
        known = after(CREATED, *order, *order)
        assert known is not None
        assert (known.fields, known.custom_fields) == (expected.fields, expected.custom_fields)
        assert known.lists == frozenset()


def test_r11_what_came_before_a_contact_was_known_is_taken_in_too() -> None:
    """A list makes it known; its creation was said earlier, and comes later."""
    joined = ContactChange(NOW + timedelta(hours=1), introduces=True, joined=LIST)
    known = after(joined, CREATED)
    assert known is not None
    assert (known.fields["email"], known.lists) == ("a@b.c", frozenset({LIST}))


def test_r11_a_deletion_that_comes_again_does_not_end_who_came_back() -> None:
    back = ContactChange(NOW + timedelta(hours=1), creates=True, introduces=True)
    known = after(CREATED, GONE, back, GONE)
    assert known is not None
    assert not known.deleted
    gone = after(CREATED, ContactChange(NOW + timedelta(hours=1), deletes=True), CREATED)
    assert gone is not None
    assert gone.deleted


def test_what_comes_twice_gives_the_same_object() -> None:
    known = after(CREATED, JOINED)
    assert fold(CONTACT, known, CREATED) is known
    assert fold(CONTACT, known, JOINED) is known
