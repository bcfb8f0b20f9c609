"""The ids of events that were seen: the same id from the same source counts once."""

from collections.abc import Sequence

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.contact_events import ContactEvent

queries = queries_beside(__file__)
_FORGET_AT_MOST = 20_000


async def remember_new(
    tx: Transaction, batch: Sequence[Received[ContactEvent]]
) -> list[Received[ContactEvent]]:
    """Remember these events and return, in order and once each, those not seen before."""
    once: dict[tuple[object, str, str], Received[ContactEvent]] = {}
    for received in batch:
        event = received.message
        once.setdefault((event.workspaceid, event.source, event.id), received)
    workspaces, sources, event_ids = zip(*once, strict=True) if once else ((), (), ())
    rows = queries.remember_new(tx, workspaces=workspaces, sources=sources, event_ids=event_ids)
    fresh = {(row["workspace_id"], row["source"], row["event_id"]) async for row in rows}
    return [received for key, received in once.items() if key in fresh]


async def forget(tx: Transaction, keep_days: float) -> int:
    """Forget some events that were seen longer ago than that; give how many."""
    gone: int = await queries.forget(tx, keep_days=keep_days, at_most=_FORGET_AT_MOST)
    return gone
