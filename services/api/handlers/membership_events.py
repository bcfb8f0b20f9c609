"""membership.events: read models of memberships, timelines, refusals and counts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.membership_events import EnrollmentRefused, MembershipEvent, MembershipMoved
from libs.domain.calendar import to_text
from services.api.store import runs
from services.api.store.runs import Counts, Known

_RUN_STATUS = {"active": "in_flow", "waiting": "in_flow", "completed": "completed"}
_FAILURES = frozenset({"step_failed", "going_in_circles"})


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[MembershipEvent]]
) -> list[Outgoing]:
    """Take in what happened; counts change by what each membership was and is."""
    moved = [one.message for one in batch if isinstance(one.message, MembershipMoved)]
    refused = [one.message for one in batch if isinstance(one.message, EnrollmentRefused)]
    newest = {one.membership_id: one for one in sorted(moved, key=lambda one: one.sequence)}
    known = await runs.known(tx, newest)
    changes = count_changes(newest, known)
    await runs.write(
        tx,
        [_run(one) for one in newest.values()],
        [_entry(one) for one in moved],
        [_refusal(one) for one in refused],
        [_counts(flow_id, counts) for flow_id, counts in changes.items()],
    )
    return []


def count_changes(
    newest: Mapping[UUID, MembershipMoved], known: Mapping[UUID, Known]
) -> dict[UUID, Counts]:
    """Say by how much each flow's counts change, given what was known of its memberships."""
    changes: defaultdict[UUID, Counts] = defaultdict(Counts)
    for membership_id, moved in newest.items():
        before, counts = known.get(membership_id), changes[moved.run.flow_id]
        if before is None:
            counts.entered += 1
            entered_at = moved.run.entered_at
            counts.last_entry_at = max(counts.last_entry_at or entered_at, entered_at)
        elif before.sequence >= moved.sequence:
            continue
        else:
            setattr(counts, before.status, getattr(counts, before.status) - 1)
        status = moved.run.status.value
        setattr(counts, status, getattr(counts, status) + 1)
    return dict(changes)


def run_status(status: str, drop_reason: str | None) -> str:
    """Say what the run is to its readers (reference, section 14.4)."""
    if status == "dropped":
        return "failed" if drop_reason in _FAILURES else "exited_flow"
    return _RUN_STATUS[status]


def _run(moved: MembershipMoved) -> dict[str, Any]:
    run = moved.run
    return {
        "membership_id": str(moved.membership_id),
        "workspace_id": str(moved.workspace_id),
        "flow_id": str(run.flow_id),
        "contact_id": str(run.contact_id),
        "sequence": moved.sequence,
        "status": run.status.value,
        "run_status": run_status(run.status.value, run.drop_reason),
        "run": run.model_dump(mode="json"),
        # As precise as they are shown: who asks for members up to a time they read here means it.
        "entered_at": to_text(run.entered_at),
        "ended_at": to_text(run.ended_at) if run.ended_at else None,
    }


def _entry(moved: MembershipMoved) -> dict[str, Any]:
    return {
        "membership_id": str(moved.membership_id),
        "sequence": moved.sequence,
        "kind": moved.kind,
        "step_id": moved.step_id,
        "label": moved.label,
        "occurred_at": moved.time.isoformat(),
        "details": moved.details,
    }


def _refusal(refused: EnrollmentRefused) -> dict[str, Any]:
    return {
        "refusal_id": str(refused.id),
        "workspace_id": str(refused.workspace_id),
        "flow_id": str(refused.flow_id),
        "contact_id": str(refused.contact_id),
        "source_id": refused.source_id,
        "entry_source": refused.entry_source,
        "reason": refused.reason,
        "refused_at": refused.time.isoformat(),
    }


def _counts(flow_id: UUID, counts: Counts) -> dict[str, Any]:
    last = to_text(counts.last_entry_at) if counts.last_entry_at else None
    return {**asdict(counts), "flow_id": str(flow_id), "last_entry_at": last}
