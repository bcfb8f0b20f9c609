"""Memberships that have ended. They are kept for a time, and their late engagement with them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.membership import Membership
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.memberships import engagement_as_json, membership_of

queries = queries_beside(__file__)


async def add(tx: Transaction, ended: Sequence[tuple[int, Membership]]) -> None:
    """Keep memberships that have ended, each with its partition."""
    if not ended:
        return
    memberships = [membership for _, membership in ended]
    await queries.add(
        tx,
        ids=[one.membership_id for one in memberships],
        partitions=[partition for partition, _ in ended],
        workspaces=[one.workspace_id for one in memberships],
        flows=[one.flow_id for one in memberships],
        contacts=[one.contact_id for one in memberships],
        entry_sources=[one.entry_source for one in memberships],
        entered_ats=[one.entered_at for one in memberships],
        updated_ats=[one.updated_at for one in memberships],
        statuses=[one.status.value for one in memberships],
        hops=[one.hop for one in memberships],
        step_ids=[one.step_id for one in memberships],
        dynamic_contexts=[one.dynamic_context for one in memberships],
        engagements=[engagement_as_json(one.engagement) for one in memberships],
        sequences=[one.sequence for one in memberships],
        ended_ats=[one.ended_at for one in memberships],
        drop_reasons=[one.drop_reason for one in memberships],
    )


async def read(tx: Transaction, wanted: Iterable[tuple[UUID, UUID]]) -> list[Membership]:
    """Give the ended memberships among these pairs of (contact, membership)."""
    pairs = list(wanted)
    if not pairs:
        return []
    contact_ids, membership_ids = zip(*pairs, strict=True)
    rows = queries.read(tx, contact_ids=contact_ids, membership_ids=membership_ids)
    return [_membership(row) async for row in rows]


async def history(
    tx: Transaction, pairs: Iterable[tuple[UUID, ContactKey]]
) -> dict[tuple[UUID, ContactKey], set[UUID]]:
    """Name the ended memberships of each (flow, contact)."""
    wanted = list(pairs)
    found: dict[tuple[UUID, ContactKey], set[UUID]] = {}
    if wanted:
        flow_ids = [flow_id for flow_id, _ in wanted]
        contact_ids = [contact[1] for _, contact in wanted]
        async for row in queries.history(tx, flow_ids=flow_ids, contact_ids=contact_ids):
            key = (row["flow_id"], (row["workspace_id"], row["contact_id"]))
            found.setdefault(key, set()).add(row["membership_id"])
    return found


async def note(tx: Transaction, noted: Sequence[Membership]) -> None:
    """Write what became of mails after the end."""
    if noted:
        await queries.note(
            tx,
            ids=[one.membership_id for one in noted],
            contact_ids=[one.contact_id for one in noted],
            engagements=[engagement_as_json(one.engagement) for one in noted],
            sequences=[one.sequence for one in noted],
        )


async def forget_contacts(tx: Transaction, contacts: Iterable[ContactKey]) -> None:
    """Erase what is personal in the memberships of contacts that are gone."""
    if gone := list(contacts):
        workspace_ids, contact_ids = zip(*gone, strict=True)
        await queries.forget_contacts(tx, workspace_ids=workspace_ids, contact_ids=contact_ids)


def _membership(row: Any) -> Membership:
    return membership_of(row, ended_at=row["ended_at"], drop_reason=row["drop_reason"])
