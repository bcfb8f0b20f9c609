"""`PUT …/steps/{step_id}/email`: give a step its mail (README.md, "Steps")."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.api.http.keys import ContextParam
from services.api.native import step_editing
from services.api.native.flows import NativeFlow, with_counts
from services.api.use_cases import emails, flows
from services.api.use_cases.emails import Address, EmailDraft
from services.api.use_cases.problems import Problem

router = APIRouter(prefix="/v1/email-flows/{flow_id}/steps", tags=["flows"])
Json = dict[str, Any]
_SCAFFOLD = """\
<!doctype html>
<html><body>
<p>Hello {{contact.firstName:default=there}},</p>
<p></p>
<p>{{tented.company}}, {{tented.address}}<br>
<a href="{{tented.unsubscribeOneClickLink}}">Unsubscribe</a></p>
</body></html>
"""
"""What an inline mail begins with, if it is given no content of its own."""


class ExistingEmail(BaseModel):
    """A mail that is there already."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["existing"]
    email_id: UUID


class InlineEmail(BaseModel):
    """A mail to be made for this step: a draft, which needs approval before activation."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["inline"]
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    subject: Annotated[str, Field(min_length=1, max_length=998)] | None = None
    preview_text: Annotated[str, Field(max_length=200)] | None = None
    from_name: Annotated[str, Field(max_length=120)] | None = None
    from_address: Address | None = None
    reply_to_email: Address | None = None
    html: Annotated[str, Field(max_length=2_000_000)] | None = None
    template_id: UUID | None = None

    @model_validator(mode="after")
    def _one_source_of_content(self) -> Self:
        if self.html is not None and self.template_id is not None:
            raise ValueError("template_id: give html or template_id, not both")
        return self

    def draft(self, flow_name: str) -> EmailDraft:
        """Write it as a draft of its own."""
        given = self.model_dump(exclude_unset=True, exclude={"source", "template_id"})
        default_name = f"{flow_name[:190]} Email"
        return EmailDraft.model_validate(
            {**given, "name": self.name or default_name, "html": self.html or _SCAFFOLD}
        )


StepEmail = Annotated[ExistingEmail | InlineEmail, Field(discriminator="source")]


@router.put("/{step_id:path}/email")
async def set_email(
    app_context: ContextParam, key: NativeFlow, step_id: str, body: StepEmail
) -> Json:
    """Give a send_email step a mail that is there, or make one for it."""
    async with app_context.relay.unit() as unit:
        flow = await flows.lock_for_edit(app_context, unit, key, structure=True)
        steps = flow.document.get("steps", [])
        if step_editing.step_of(steps, step_id)["type"] != "send_email":
            raise Problem("invalid", "step_not_email", f"Step {step_id} sends no e-mail")
        if isinstance(body, ExistingEmail):
            email_id = (await emails.lock(unit, key.workspace_id, body.email_id)).email_id
        elif body.template_id is not None:
            raise Problem("not_found", "email_template_not_found", "E-mail template not found")
        else:
            draft = body.draft(flow.document["name"])
            email_id = (await emails.add(app_context, unit, key.workspace_id, draft)).email_id
        changed = step_editing.merged(steps, step_id, {"email_id": str(email_id)})
        document = {**flow.document, "steps": changed}
        rewritten = await flows.rewrite(app_context, unit, flow, document)
    return await with_counts(app_context, rewritten)
