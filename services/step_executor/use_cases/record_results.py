"""What becomes of memberships whose deliveries are over."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from prometheus_client import Counter

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.records import Results
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry.logs import logger
from services.step_executor.store import contacts, deliveries, memberships
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.store.deliveries import Finished, Result
from services.step_executor.store.memberships import NeededMemberships
from services.step_executor.use_cases.activity_log import needed_of, read_log
from services.step_executor.use_cases.needed_memberships import need, partitions_of
from services.step_executor.use_cases.resume import finish_delivery
from services.step_executor.use_cases.unit_of_work import UnitOfWork

PUT_ASIDE = Counter(
    "millrace_results_put_aside_total",
    "Results by which a membership could not be walked on. They are kept, and tried again.",
)
AT_ONCE = 500
_PUT_ASIDE_SECONDS = 300.0
_log = logger(__name__)


class RecordResults:
    """Walks memberships on whose deliveries are over. Only for who owns their partitions.

    A result that a membership cannot be walked on by is put aside, and offered again after some
    time: it costs no other result anything.
    """

    def __init__(self, pool: Pool, flows: KnownFlows, clock: Clock) -> None:
        self._pool = pool
        self._flows = flows
        self._clock = clock

    async def of_this_process(
        self, tx: Transaction, lease: UUID, results: Sequence[Result]
    ) -> Results:
        """Record results of a sender of this very process and walk on, in one transaction."""
        return await self._walk_on(tx, await deliveries.mine(tx, lease, results))

    async def is_any_settled(self, partitions: Iterable[int]) -> bool:
        """Say whether senders have left results for these partitions."""
        return await deliveries.is_any_settled(self._pool, partitions)

    async def of_others(
        self,
        tx: Transaction,
        owned: Sequence[OwnedPartition],
        at_most: int = AT_ONCE,
        taken: list[Finished] | None = None,
    ) -> Results:
        """Take some results that senders left for these partitions, and walk on.

        Args:
            tx: The transaction.
            owned: The partitions.
            at_most: How many results.
            taken: Told which ones, also where walking on by them then fails.
        """
        partitions = [one.partition for one in owned]
        finished = await deliveries.settled(tx, partitions, at_most)
        if taken is not None:
            taken += finished
        return await self._walk_on(tx, finished)

    async def put_aside(self, finished: Finished, error: Exception) -> None:
        """Keep a result for later whose transaction fails each time."""
        _say_put_aside(finished, error)
        async with transaction(self._pool) as tx:
            await deliveries.put_aside(tx, [finished], _PUT_ASIDE_SECONDS)

    async def _walk_on(self, tx: Transaction, finished: Sequence[Finished]) -> Results:
        if not finished:
            return []
        needed: dict[ContactKey, NeededMemberships] = {}
        for one in finished:
            contact = (one.workspace_id, one.contact_id)
            need(needed, contact, one.partition).membership_ids.add(one.key.membership_id)
        unit = await self._read(tx, finished, needed)
        walked = [(one, _walks(unit, one)) for one in finished]
        if unit.activity.is_short:
            unit = await self._read(tx, finished, needed, to_the_end=True)
            walked = [(one, _walks(unit, one)) for one in finished]
        taken = [one for one, has_walked in walked if has_walked]
        await deliveries.archive(tx, taken)
        unit.archived.update(one.key for one in taken)
        faulty = [one for one, has_walked in walked if not has_walked]
        await deliveries.put_aside(tx, faulty, _PUT_ASIDE_SECONDS)
        await unit.save(tx)
        return unit.outgoing

    async def _read(
        self,
        tx: Transaction,
        finished: Sequence[Finished],
        needed: Mapping[ContactKey, NeededMemberships],
        *,
        to_the_end: bool = False,
    ) -> UnitOfWork:
        now, found = self._clock.now(), await memberships.read(tx, needed)
        flows = await self._flows.read(tx, {one.flow_id for one in finished})
        needs = needed_of(flows, found, to_the_end=to_the_end)
        return UnitOfWork(
            now=now,
            contacts=await contacts.read(tx, partitions_of(needed)),
            needed=needed,
            memberships={membership.membership_id: membership for membership in found},
            flows=flows,
            activity=await read_log(tx, needs, (), now),
        )


def _walks(unit: UnitOfWork, finished: Finished) -> bool:
    """Walk a membership on; False if it cannot be done now, in which case nothing has changed."""
    try:
        finish_delivery(unit, finished)
    except Exception as error:  # noqa: BLE001  (whatever it is, it costs this run alone)
        _say_put_aside(finished, error)
        return False
    return True


def _say_put_aside(finished: Finished, error: Exception) -> None:
    PUT_ASIDE.inc()
    _log.error("result.put_aside", membership_id=str(finished.key.membership_id), exc_info=error)
