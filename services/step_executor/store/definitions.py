"""The newest definition of flows and mails."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.flow_definitions import EmailContent
from libs.domain.flow import Flow

queries = queries_beside(__file__)


async def put_flows(tx: Transaction, flows: Sequence[Flow]) -> set[UUID]:
    """Take flows in; name those that were not known in this version yet."""
    newest = {flow.flow_id: flow for flow in sorted(flows, key=lambda flow: flow.version)}
    if not newest:
        return set()
    rows = queries.put_flows(
        tx,
        flow_ids=list(newest),
        versions=[flow.version for flow in newest.values()],
        definitions=[
            flow.model_dump(mode="json", by_alias=True, exclude_unset=True)
            for flow in newest.values()
        ],
    )
    return {row["flow_id"] async for row in rows}


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


async def emails(tx: Transaction, email_ids: Iterable[UUID]) -> dict[UUID, EmailContent]:
    """Give the newest approved content of these mails; unknown ones are left out."""
    found: dict[UUID, EmailContent] = {}
    async for row in queries.emails(tx, email_ids=list(set(email_ids))):
        email = EmailContent.model_validate(row["content"])
        found[email.email_id] = email
    return found


class KnownFlows:
    """Definitions, parsed and compiled once per version; the table says which version is newest."""

    def __init__(self) -> None:
        self._compiled: dict[UUID, Flow] = {}

    async def read(self, tx: Transaction, flow_ids: Iterable[UUID]) -> dict[UUID, Flow]:
        """Give the newest definition of these flows; unknown ones are left out."""
        wanted = list(set(flow_ids))
        rows = queries.flow_versions(tx, flow_ids=wanted)
        versions = {row["flow_id"]: row["version"] async for row in rows}
        stale = [
            flow_id for flow_id, version in versions.items() if not self._has(flow_id, version)
        ]
        if stale:
            async for row in queries.flows(tx, flow_ids=stale):
                flow = Flow.model_validate(row["definition"])
                self._compiled[flow.flow_id] = flow
        return {flow_id: self._compiled[flow_id] for flow_id in versions}

    def _has(self, flow_id: UUID, version: int) -> bool:
        known = self._compiled.get(flow_id)
        return known is not None and known.version == version
