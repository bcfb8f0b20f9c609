"""The events from outside that were seen: the same one counts once, however often it is published.

Our own records are numbered, so positions and watermarks do for them. What others publish has an
id at best; a service that reads it remembers a key made of that.

How long upstream may repeat an event is a setting, in days, so what was seen is partitioned by the
week and dropped whole. Each event is looked for in every week there is, two as a rule: fewer and
larger partitions, because each costs every event a look into an index of its own.

Postgres keeps a key unique within a week; across weeks the look does. A look sees all that the
owners of this partition of the topic have committed. An event that upstream repeats under another
record key comes through another partition, maybe at the same moment; the two wait for one another
on the key, unless one began before midnight on Sunday and the other after. Then both pass. So what
must never be done twice is caught behind: an event enrolls a contact into a flow only once.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import UUID

from libs.chassis.exactly_once.records import M, Received
from libs.chassis.postgres.partitions import TimePartitioned
from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


def partitioned(keep_days: float) -> TimePartitioned:
    """Say how the table is partitioned."""
    return TimePartitioned("seen_event", "week", keep=timedelta(days=keep_days), ahead=1)


async def remember_new(
    tx: Transaction, batch: Iterable[Received[M]], key_of: Callable[[M], UUID]
) -> dict[UUID, Received[M]]:
    """Remember these events; give, in order and once each, those not seen before, by their key."""
    once: dict[UUID, Received[M]] = {}
    for received in batch:
        once.setdefault(key_of(received.message), received)
    await queries.use_indexes(tx)
    fresh = {row["key"] async for row in queries.remember_new(tx, keys=list(once))}
    return {key: received for key, received in once.items() if key in fresh}
