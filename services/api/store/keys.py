"""API keys: kept as digests, found by their prefix."""

import hashlib
import hmac
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
_PREFIX_LENGTH = 16


async def put(tx: Transaction, key: str, workspace_id: UUID) -> None:
    """See that a workspace exists and that a key opens it."""
    await queries.put_workspace(tx, workspace_id=workspace_id)
    await queries.put_key(
        tx, prefix=key[:_PREFIX_LENGTH], digest=_digest(key), workspace_id=workspace_id
    )


async def workspace_of(pool: Pool, key: str) -> UUID | None:
    """Say which workspace a key opens; None if it opens none."""
    row = await queries.find(pool, prefix=key[:_PREFIX_LENGTH])
    if row is None or not hmac.compare_digest(row["digest"], _digest(key)):
        return None
    workspace_id: UUID = row["workspace_id"]
    return workspace_id


def _digest(key: str) -> bytes:
    # A key has 256 random bits, so a fast digest is enough.
    return hashlib.sha256(key.encode()).digest()
