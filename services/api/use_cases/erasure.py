"""Erasing what is held of a person once the contact is deleted.

The directory forgets a contact as soon as it hears of the deletion. What memberships and refusals
say of it is erased by a loop right after that, and what comes late is never written: see
`impersonal`. That a contact of this id was in a flow, and which way it went, is kept like that of
any other, for the counts and for whoever asks what the flow did.
"""

import re
from collections.abc import Sequence
from typing import Any

from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.contracts.membership_events import TimelineEntry
from services.api.store import address_claims, deleted_contacts, personal_data, web_pages
from services.api.store.directory import ContactKey
from services.api.store.memberships import Update

_OURS = ("outcome", "source", "until")
"""Details in our own or the flow's words. What rules saw, addresses and links are the person's."""
_CODE = re.compile(r"[a-z][a-z_]{0,63}")
"""A reason of ours is a code. Any other may be a mail server's sentence, with an address in it."""
_PAGE = 100


def impersonal(entry: TimelineEntry) -> TimelineEntry:
    """Give a timeline entry without what it says of a person."""
    details = {name: value for name, value in entry.details.items() if _may_stay(name, value)}
    return entry if details == entry.details else entry.model_copy(update={"details": details})


def _may_stay(name: str, value: Any) -> bool:
    if name == "reason":
        return isinstance(value, str) and _CODE.fullmatch(value) is not None
    return name in _OURS


def impersonal_update(update: Update) -> Update:
    """Give what a batch says of a membership without what it says of a person."""
    state = update.state.model_copy(update={"dynamic_context": {}})
    entries = [impersonal(entry) for entry in update.entries]
    return Update(update.workspace_id, state, entries, update.known)


async def erase(tx: Transaction, contacts: Sequence[ContactKey]) -> None:
    """Erase what memberships and refusals say of contacts as persons, and their web pages."""
    await personal_data.erase(tx, contacts, impersonal)
    await web_pages.erase(tx, contacts)


async def erase_due(pool: Pool) -> None:
    """Erase what is due, some contacts at a time."""
    while True:
        async with transaction(pool) as tx:
            contacts = await deleted_contacts.to_erase(tx, _PAGE)
            if contacts:
                await erase(tx, contacts)
                await address_claims.drop_ended(tx)
                await deleted_contacts.erased(tx, contacts)
        if len(contacts) < _PAGE:
            return
