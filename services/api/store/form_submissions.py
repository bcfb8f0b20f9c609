"""What was submitted in forms by nobody who can be named."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


@dataclass(frozen=True, slots=True)
class StoredSubmission:
    """A submission that is nobody's."""

    submission_id: str
    workspace_id: UUID
    form_id: str
    tent_id: UUID | None
    fields: dict[str, Any]
    submitted_at: datetime


async def add(tx: Transaction, submission: StoredSubmission) -> None:
    """Keep a submission; the same one is kept once."""
    await queries.add(
        tx,
        submission_id=submission.submission_id,
        workspace_id=submission.workspace_id,
        form_id=submission.form_id,
        tent_id=submission.tent_id,
        fields=submission.fields,
        now=submission.submitted_at,
    )


async def page(
    tx: Reads, workspace_id: UUID, form_id: str, before: tuple[datetime, str] | None, at_most: int
) -> list[StoredSubmission]:
    """Give submissions of a form, newest first, or those that come after a place."""
    at, submission_id = before or (None, None)
    rows = queries.page(
        tx, workspace_id=workspace_id, form_id=form_id,
        before_at=at, before_id=submission_id, at_most=at_most,
    )  # fmt: skip
    return [
        StoredSubmission(
            row["submission_id"], row["workspace_id"], row["form_id"], row["tent_id"],
            row["fields"], row["submitted_at"],
        )
        async for row in rows
    ]  # fmt: skip
