"""Drop aliases of web pages that are no longer kept."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from services.api.store import web_pages

_AT_ONCE = 1000


async def drop_aliases(pool: Pool, keep_days: float) -> None:
    """Drop some of them; an outage leaves it for the next time."""
    with retry_later("aliases.retried"):
        async with transaction(pool) as tx:
            await web_pages.drop_aliases(tx, keep_days, _AT_ONCE)
