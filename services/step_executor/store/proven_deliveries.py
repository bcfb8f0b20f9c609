"""Mails that were sent, as their recipients show, whether or not their senders have said so."""

from collections.abc import Collection

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from services.step_executor.store.deliveries import DeliveryKey, Finished

queries = queries_beside(__file__)


async def tried(tx: Transaction, keys: Collection[DeliveryKey]) -> dict[DeliveryKey, Finished]:
    """Give those of these mails that any sender has begun to hand over, as sent."""
    if not keys:
        return {}
    rows = queries.tried(
        tx, ids=[key.membership_id for key in keys], hops=[key.hop for key in keys]
    )
    return {
        (key := DeliveryKey(row["membership_id"], row["hop"])): Finished(
            key,
            row["workspace_id"],
            row["contact_id"],
            row["flow_id"],
            row["partition"],
            outcome="sent",
            reason=None,
        )
        async for row in rows
    }
