"""`/v1/forms`: what contacts submit in forms."""

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from libs.domain.contact import Scalar
from services.api.http.cursors import CursorPage, cursor_after
from services.api.http.keys import ContextParam, Workspace
from services.api.native import serializers
from services.api.native.contacts import ContactFields
from services.api.store import form_submissions as store
from services.api.use_cases import forms
from services.api.use_cases.bodies import read_body
from services.api.use_cases.depth import MOST_LEVELS, too_deep
from services.api.use_cases.forms import FormSubmission
from services.api.use_cases.problems import Problem, invalid

router = APIRouter(prefix="/v1/forms")
Json = dict[str, Any]
FormId = Annotated[str, Path(min_length=1, max_length=255)]
_MOST_FIELDS = 200
_OF_CONTACTS = (
    "email phone display_name first_name last_name company job_title address address2 city state "
    "country zip_code"
).split()
"""The answers that say something of the contact; in camelCase too."""


def _shallow(fields: Any) -> Any:
    if too_deep(fields):
        raise ValueError(f"this nests deeper than {MOST_LEVELS} levels")
    return fields


class SubmissionDraft(BaseModel):
    """A submitted form: its answers by field name. The same `submission_id` counts once."""

    model_config = ConfigDict(extra="forbid")

    submission_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    tent_id: UUID | None = None
    fields: Annotated[
        dict[str, JsonValue], Field(max_length=_MOST_FIELDS), BeforeValidator(_shallow)
    ]

    def contact(self) -> dict[str, Scalar]:
        """Give those answers that say something of the contact, by camelCase key.

        Raises:
            Problem: If one cannot be a contact's, such as an address without an @.
        """
        keys = {key for name in _OF_CONTACTS for key in (name, to_camel(name))}
        sent = {
            key: value
            for key, value in self.fields.items()
            if key in keys and value not in ("", None)
        }
        try:
            return read_body(ContactFields, sent).standard()
        except Problem as problem:
            issues = (problem.details or {})["issues"]
            raise invalid(f"fields.{issues[0]['path']}", issues[0]["message"]) from None


@router.post("/{form_id}/submissions", status_code=201)
async def submit(
    app_context: ContextParam, workspace: Workspace, form_id: FormId, body: SubmissionDraft
) -> Json:
    """Submit a form: its contact is found by its address, or created."""
    submission = FormSubmission(
        body.submission_id or str(uuid4()), form_id, body.tent_id, body.fields, body.contact()
    )
    submitted = await forms.submit(app_context, workspace, submission)
    return {
        "submission_id": submission.submission_id,
        "form_id": form_id,
        "tent_id": str(body.tent_id) if body.tent_id else None,
        "contact_id": str(submitted.contact_id) if submitted.contact_id else None,
        "contact_created": submitted.created,
    }


@router.get("/{form_id}/submissions")
async def list_submissions(
    app_context: ContextParam,
    workspace: Workspace,
    form_id: FormId,
    page: Annotated[CursorPage, Depends()],
) -> Json:
    """List the submissions of a form that are nobody's, newest first."""
    if page.page > 1:
        raise invalid("page", "submissions are not counted: go on by next_cursor")
    found = await store.page(app_context.pool, workspace, form_id, page.after(), page.limit + 1)
    shown = found[: page.limit]
    last = shown[-1] if len(found) > page.limit else None
    onward = cursor_after(last.submitted_at, last.submission_id) if last else None
    rows = [serializers.form_submission(one) for one in shown]
    return page.listed("submissions", rows, None, onward)
