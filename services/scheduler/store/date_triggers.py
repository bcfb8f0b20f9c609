"""The date triggers of flows, and the schedule made of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.date_schedule import DateSchedule, ScheduledTrigger
from libs.domain.triggers.date_based import DateBasedTrigger

queries = queries_beside(__file__)


class StoredTrigger(NamedTuple):
    """A date trigger as it is kept; `settings` is None if it fires no more."""

    flow_id: UUID
    trigger_id: str
    workspace_id: UUID
    flow_version: int
    settings: Mapping[str, Any] | None
    active_since: datetime


async def read(
    tx: Transaction, flow_ids: Iterable[UUID]
) -> defaultdict[UUID, dict[str, StoredTrigger]]:
    """Give what is kept of these flows, each by the triggers' ids."""
    found: defaultdict[UUID, dict[str, StoredTrigger]] = defaultdict(dict)
    async for row in queries.read(tx, flow_ids=list(flow_ids)):
        found[row["flow_id"]][row["trigger_id"]] = StoredTrigger(*row)
    return found


async def put(tx: Transaction, changed: Sequence[StoredTrigger]) -> None:
    """Take changes in, each trigger once."""
    if changed:
        await queries.put(
            tx,
            flow_ids=[one.flow_id for one in changed],
            trigger_ids=[one.trigger_id for one in changed],
            workspaces=[one.workspace_id for one in changed],
            versions=[one.flow_version for one in changed],
            settings=[one.settings for one in changed],
            active_sinces=[one.active_since for one in changed],
        )


class CurrentSchedule:
    """The schedule of this process, kept in line with the table.

    Only the owner of the one partition of flow.definitions writes the table, so revisions come in
    the order of their commits, and nothing is missed by asking for what is newer.
    """

    def __init__(self) -> None:
        self.schedule = DateSchedule()

    async def refresh(self, reads: Reads) -> None:
        """Take in what has changed since the last time."""
        after = self.schedule.revision
        rows = [row async for row in queries.changed_since(reads, revision=after)]
        for row in rows:
            if row["revision"] > self.schedule.revision:  # else another look was quicker
                key = (row["flow_id"], row["trigger_id"])
                trigger = _scheduled(row) if row["settings"] else None
                self.schedule.put(key, row["revision"], trigger)


def _scheduled(row: Any) -> ScheduledTrigger:
    trigger = DateBasedTrigger.model_validate(row["settings"])
    return ScheduledTrigger(
        row["flow_id"],
        row["trigger_id"],
        row["workspace_id"],
        row["flow_version"],
        trigger.field or "",
        trigger.rule,
        row["settings"],
        row["active_since"],
        row["revision"],
    )
