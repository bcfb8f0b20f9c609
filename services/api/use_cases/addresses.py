"""An e-mail address is one contact's: claiming it while a contact is about to get it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from libs.chassis.postgres.pool import Transaction, transaction
from libs.domain.contact import Scalar
from services.api.store import address_claims, directory
from services.api.store.address_claims import Claim, Claims
from services.api.use_cases.app_context import AppContext

Leave = Callable[[Transaction, UUID, Claims], Awaitable[None]]


def lowered(fields: Mapping[str, Scalar]) -> str:
    """Give the address among fields as addresses are compared: in lower case; empty if none."""
    return str(fields.get("email") or "").lower()


@dataclass(slots=True)
class Held:
    """What a call holds of the addresses it wanted.

    Attributes:
        mine: What it claimed.
        others: What others claim just now.
        shown: Whether the directory shows what the claims were for, so that they have done their
            work; what it does not show yet stays claimed for a while.
    """

    mine: Claims
    others: Claims
    shown: bool = True


@contextlib.asynccontextmanager
async def claimed(
    app_context: AppContext, workspace_id: UUID, wanted: Iterable[Claim]
) -> AsyncIterator[Held]:
    """Claim addresses, and give them back at the end.

    After an error nobody knows whether the contacts came: whoever tries again takes the claims
    over, and with them the same contact ids.
    """
    async with transaction(app_context.pool) as tx:
        held = Held(*await address_claims.claim(tx, workspace_id, list(wanted)))
    try:
        yield held
    except BaseException:
        await _leave(app_context, workspace_id, held.mine, address_claims.end_claims)
        raise
    if held.shown:
        await _leave(app_context, workspace_id, held.mine, address_claims.give_back)


async def _leave(app_context: AppContext, workspace_id: UUID, mine: Claims, how: Leave) -> None:
    if mine:
        async with transaction(app_context.pool) as tx:
            await how(tx, workspace_id, mine)


async def owners(
    app_context: AppContext, workspace_id: UUID, emails: Iterable[str], claims: Claims
) -> Claims:
    """Say whose these addresses are: a contact's that has one, or else who claims it."""
    asked = list(emails)
    found = await directory.by_emails(app_context.pool, workspace_id, asked) if asked else {}
    return {**claims, **{email: contact_ids[0] for email, contact_ids in found.items()}}
