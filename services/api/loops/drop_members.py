"""Before ended memberships are dropped by age, they are counted as gone."""

from datetime import datetime

from libs.chassis.postgres.pool import Transaction
from services.api.store import counts


async def may_drop(tx: Transaction, ends: datetime) -> bool:
    """Count as gone what was stored before; not now, if another process is folding counts."""
    if not await counts.fold_alone(tx):
        return False
    await counts.forget(tx, ends)
    return True
