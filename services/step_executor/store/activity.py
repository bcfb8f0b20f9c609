"""What contacts did: added to by their events, read where rules count it, folded when it is old."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.activity import MOST_LOOKED_AT, ActivityKind, ActivityNeeds, PastActivity
from services.step_executor.store.contacts import ContactKey

queries = queries_beside(__file__)
PastOfContact = dict[ActivityKind, PastActivity]
_LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Done:
    """Something a contact did.

    Attributes:
        kind: What, and of which mail or form.
        at: When.
        event_key: Tells the event that says so from all others.
    """

    contact: ContactKey
    kind: ActivityKind
    at: datetime
    event_key: UUID


async def read(
    tx: Transaction, needs: Mapping[ContactKey, ActivityNeeds], now: datetime
) -> dict[ContactKey, PastOfContact]:
    """Give what contacts did, as far as it is needed of each."""
    asked = [(contact, kind, need) for contact, of in needs.items() for kind, need in of.items()]
    found: defaultdict[ContactKey, PastOfContact] = defaultdict(dict)
    if not asked:
        return found
    rows = queries.read(
        tx,
        **_kinds([(contact, kind) for contact, kind, _ in asked]),
        windows=[need.window for _, _, need in asked],
        at_mosts=[need.at_most for _, _, need in asked],
        now=now,
        most_looked_at=MOST_LOOKED_AT,
    )
    async for row in rows:
        contact, kind, _ = asked[row["number"] - 1]
        past = PastActivity(tuple(row["times"]), row["folded"], row["unread_before"])
        found[contact][kind] = past
    return found


async def known(tx: Transaction, done: Sequence[Done]) -> set[UUID]:
    """Name those of these events that are recorded already."""
    if not done:
        return set()
    rows = queries.known(
        tx,
        workspace_ids=[one.contact[0] for one in done],
        contact_ids=[one.contact[1] for one in done],
        metrics=[one.kind.metric for one in done],
        ats=[one.at for one in done],
        event_keys=[one.event_key for one in done],
    )
    return {row["event_key"] async for row in rows}


async def record(tx: Transaction, done: Sequence[Done]) -> None:
    """Write what contacts did; what is recorded already stays as it is."""
    if done:
        await queries.record(
            tx,
            **_kinds([(one.contact, one.kind) for one in done]),
            ats=[one.at for one in done],
            event_keys=[one.event_key for one in done],
        )


async def forget_contacts(tx: Transaction, contacts: Iterable[ContactKey]) -> None:
    """Erase what contacts did who are gone."""
    if gone := list(contacts):
        workspace_ids, contact_ids = zip(*gone, strict=True)
        await queries.forget_contacts(tx, workspace_ids=workspace_ids, contact_ids=contact_ids)
        await queries.forget_totals(tx, workspace_ids=workspace_ids, contact_ids=contact_ids)


async def fold(tx: Transaction, before: datetime) -> bool:
    """Count in the totals what was recorded before an instant; its partition may go then."""
    await tx.fetchval(queries.fold.sql, before, timeout=_LONGEST_SECONDS)
    return True


def _kinds(of: Sequence[tuple[ContactKey, ActivityKind]]) -> dict[str, list[Any]]:
    return {
        "workspace_ids": [contact[0] for contact, _ in of],
        "contact_ids": [contact[1] for contact, _ in of],
        "metrics": [kind.metric for _, kind in of],
        "email_ids": [kind.email_id for _, kind in of],
        "form_ids": [kind.form_id for _, kind in of],
        "tent_ids": [kind.tent_id for _, kind in of],
    }
