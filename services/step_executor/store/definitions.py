"""The newest definition of flows and mails."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.flow_definitions import EmailContent
from libs.domain.flow import Flow

queries = queries_beside(__file__)
_FLOWS_IN_MEMORY = 2000


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """A definition, and the last version of it that concerned those who were inside."""

    flow: Flow
    applied_version: int


async def lock_flows(tx: Transaction, flow_ids: Iterable[UUID]) -> dict[UUID, StoredFlow]:
    """Read the newest definition of these flows for a change of it; unknown ones are left out."""
    wanted = list(flow_ids)
    if not wanted:
        return {}
    return {
        row["flow_id"]: StoredFlow(Flow.model_validate(row["definition"]), row["applied_version"])
        async for row in queries.lock_flows(tx, flow_ids=wanted)
    }


async def put_flows(tx: Transaction, stored: Sequence[StoredFlow]) -> None:
    """Take flows in, each once."""
    if stored:
        flows = [one.flow for one in stored]
        await queries.put_flows(
            tx,
            flow_ids=[flow.flow_id for flow in flows],
            versions=[flow.version for flow in flows],
            applied_versions=[one.applied_version for one in stored],
            statuses=[flow.status.value for flow in flows],
            definitions=[
                flow.model_dump(mode="json", by_alias=True, exclude_unset=True) for flow in flows
            ],
        )


async def applied_versions(tx: Reads, flow_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Give the last version of these flows that concerned those who were inside."""
    wanted = list(flow_ids)
    if not wanted:
        return {}
    rows = queries.applied_versions(tx, flow_ids=wanted)
    return {row["flow_id"]: row["applied_version"] async for row in rows}


async def flow(tx: Reads, flow_id: UUID) -> Flow | None:
    """Give the newest definition of a flow, if it is known."""
    async for row in queries.flows(tx, flow_ids=[flow_id]):
        return Flow.model_validate(row["definition"])
    return None


async def put_emails(tx: Transaction, emails: Sequence[EmailContent]) -> None:
    """Take mails in."""
    newest = {email.email_id: email for email in sorted(emails, key=lambda email: email.version)}
    if newest:
        await queries.put_emails(
            tx,
            email_ids=list(newest),
            versions=[email.version for email in newest.values()],
            contents=[email.model_dump(mode="json") for email in newest.values()],
        )


async def emails(tx: Reads, email_ids: Iterable[UUID]) -> dict[UUID, EmailContent]:
    """Give the newest approved content of these mails; unknown ones are left out."""
    wanted = list(set(email_ids))
    if not wanted:
        return {}
    found = [
        EmailContent.model_validate(row["content"])
        async for row in queries.emails(tx, email_ids=wanted)
    ]
    return {email.email_id: email for email in found}


class KnownFlows:
    """Definitions, parsed and compiled once per version; the table says which version is newest.

    Those used longest ago are forgotten first, so that memory has a bound.
    """

    def __init__(self, at_most: int = _FLOWS_IN_MEMORY) -> None:
        self._compiled: OrderedDict[UUID, Flow] = OrderedDict()
        self._at_most = at_most

    async def read(self, tx: Transaction, flow_ids: Iterable[UUID]) -> dict[UUID, Flow]:
        """Give the newest definition of these flows; unknown ones are left out."""
        wanted = list(set(flow_ids))
        if not wanted:
            return {}
        rows = queries.flow_versions(tx, flow_ids=wanted)
        versions = {row["flow_id"]: row["version"] async for row in rows}
        found = {
            flow_id: flow
            for flow_id, version in versions.items()
            if (flow := self._remembered(flow_id, version)) is not None
        }
        return found | await self._load(tx, versions.keys() - found.keys())

    def _remembered(self, flow_id: UUID, version: int) -> Flow | None:
        flow = self._compiled.get(flow_id)
        if flow is None or flow.version != version:
            return None
        self._compiled.move_to_end(flow_id)
        return flow

    async def _load(self, tx: Transaction, flow_ids: Iterable[UUID]) -> dict[UUID, Flow]:
        missing = list(flow_ids)
        if not missing:
            return {}
        rows = queries.flows(tx, flow_ids=missing)
        loaded = [Flow.model_validate(row["definition"]) async for row in rows]
        self._compiled.update((flow.flow_id, flow) for flow in loaded)
        while len(self._compiled) > self._at_most:
            self._compiled.popitem(last=False)
        return {flow.flow_id: flow for flow in loaded}
