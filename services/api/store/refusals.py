"""Why contacts did not get into flows."""

from collections.abc import Sequence
from typing import Any

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.membership_events import EnrollmentRefused
from services.api.store.pages import read_page

queries = queries_beside(__file__)


async def add(tx: Transaction, refused: Sequence[EnrollmentRefused]) -> None:
    """Add refusals; those known already stay as they are."""
    if refused:
        await queries.add(
            tx,
            refusal_ids=[one.id for one in refused],
            workspace_ids=[one.workspace_id for one in refused],
            flow_ids=[one.flow_id for one in refused],
            contact_ids=[one.contact_id for one in refused],
            source_ids=[one.source_id for one in refused],
            entry_sources=[one.entry_source for one in refused],
            reasons=[one.reason for one in refused],
            refused_ats=[one.time for one in refused],
        )


async def page(pool: Pool, **query: Any) -> tuple[list[dict[str, Any]], int]:
    """Give one page of refusals, and how many there are."""
    return await read_page(queries.page, pool, "refusal_id", query)
