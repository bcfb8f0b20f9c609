"""Who is about to give an address to a contact: one caller at a time, so that it is had only once.

A contact is an event first, and the directory shows it a moment later. In between, the claim keeps
others from doing the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
_SECONDS = 60.0
Claims = Mapping[str, UUID]
"""For which contact each address, in lower case, is claimed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An address wanted for a contact; `chosen` if the contact's id is the caller's choice."""

    email: str
    contact_id: UUID
    chosen: bool


async def claim(
    tx: Transaction, workspace_id: UUID, wanted: Sequence[Claim]
) -> tuple[Claims, Claims]:
    """Claim addresses, each wanted once; give what was claimed, and what others claim just now."""
    if not wanted:
        return {}, {}
    rows = queries.claim(
        tx,
        workspace_id=workspace_id,
        emails=[one.email for one in wanted],
        contact_ids=[one.contact_id for one in wanted],
        chosen=[one.chosen for one in wanted],
        seconds=_SECONDS,
    )
    mine = {row["email"]: row["contact_id"] async for row in rows}
    others = [one.email for one in wanted if one.email not in mine]
    if not others:
        return mine, {}
    rows = queries.holders(tx, workspace_id=workspace_id, emails=others)
    return mine, {row["email"]: row["contact_id"] async for row in rows}


async def give_back(tx: Transaction, workspace_id: UUID, claims: Claims) -> None:
    """Give claims back, once the directory shows what they were for, or it will not come."""
    if claims:
        await queries.give_back(tx, workspace_id=workspace_id, **_columns(claims))


async def end_claims(tx: Transaction, workspace_id: UUID, claims: Claims) -> None:
    """Let whoever tries again take claims over, after nobody knows whether the contacts came."""
    if claims:
        await queries.end_claims(tx, workspace_id=workspace_id, **_columns(claims))


async def drop_ended(tx: Transaction) -> None:
    """Forget claims that were never given back: an address is a person's."""
    await queries.drop_ended(tx)


def _columns(claims: Claims) -> dict[str, list[str] | list[UUID]]:
    return {"emails": list(claims.keys()), "contact_ids": list(claims.values())}
