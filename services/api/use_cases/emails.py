"""Mails: drafts that are approved before a flow may send them."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field

from libs.chassis.exactly_once.relay import Unit
from libs.contracts.flow_definitions import EmailContent, EmailDefined
from libs.domain.mail_text import readable_text
from libs.domain.merge_tags import tags_in
from services.api.store import emails, flows
from services.api.store.emails import StoredEmail
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.bodies import read_body
from services.api.use_cases.problems import Problem, email_not_found
from services.api.use_cases.publishing import definition_of

Address = Annotated[
    str, Field(max_length=320, pattern=r"^[^@\s<>,;:\"\x00-\x1f]+@[^@\s<>,;:\"\x00-\x1f]+$")
]
MAX_TEXT_CHARACTERS = 1_000_000
_WITH_TAGS = ("subject", "preview_text", "from_name", "html", "text")
_NEEDED = {
    "subject": "subject",
    "from_name": "from_name",
    "from_address": "from_address",
    "html": "content",
}


class EmailDraft(BaseModel):
    """What a user writes of a mail (services/api/native/README.md, "E-mails")."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    subject: Annotated[str, Field(max_length=998)] | None = None
    preview_text: Annotated[str, Field(max_length=200)] | None = None
    from_name: Annotated[str, Field(max_length=120)] | None = None
    from_address: Address | None = None
    reply_to_email: Address | None = None
    html: Annotated[str, Field(max_length=2_000_000)] | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] | None = None


async def create(app_context: AppContext, workspace_id: UUID, draft: EmailDraft) -> StoredEmail:
    """Create a draft."""
    async with app_context.relay.unit() as unit:
        return await add(app_context, unit, workspace_id, draft)


async def add(
    app_context: AppContext, unit: Unit, workspace_id: UUID, draft: EmailDraft
) -> StoredEmail:
    """Create a draft, together with other things."""
    content = draft.model_dump(exclude_unset=True)
    return await emails.add(unit.tx, uuid4(), workspace_id, content, app_context.clock.now())


async def read(app_context: AppContext, workspace_id: UUID, email_id: UUID) -> StoredEmail:
    """Read a mail.

    Raises:
        Problem: If there is none.
    """
    email = await emails.read(app_context.pool, workspace_id, email_id)
    if email is None:
        raise email_not_found()
    return email


async def patch(
    app_context: AppContext, workspace_id: UUID, email_id: UUID, changes: Mapping[str, Any]
) -> StoredEmail:
    """Change some fields of a draft.

    Raises:
        Problem: If there is no such mail, it is approved, or a field is wrong.
    """
    async with app_context.relay.unit() as unit:
        email = await lock(unit, workspace_id, email_id)
        return await _edit(app_context, unit, email, changes)


async def set_text(
    app_context: AppContext, workspace_id: UUID, email_id: UUID, text: str | None
) -> StoredEmail:
    """Give a draft a text of its author's, or none: then its text is read from its HTML again.

    Raises:
        Problem: If there is no such mail, it is approved, or it has no HTML yet.
    """
    async with app_context.relay.unit() as unit:
        email = await lock(unit, workspace_id, email_id)
        if not email.content.get("html"):
            message = "The email has no content yet"
            raise Problem("invalid", "email_not_ready", message, {"missing": ["content"]})
        return await _edit(app_context, unit, email, {"text": text})


async def _edit(
    app_context: AppContext, unit: Unit, email: StoredEmail, changes: Mapping[str, Any]
) -> StoredEmail:
    if email.status == "approved":
        raise Problem("conflict", "email_not_editable", "Unapprove the email before editing it")
    content = {**email.content, **changes}
    read_body(EmailDraft, content)
    stale = _text_is_stale(email, content, changes)
    now = app_context.clock.now()
    return await emails.change(unit.tx, email, content, now, text_is_stale=stale)


def _text_is_stale(
    email: StoredEmail, content: Mapping[str, Any], changes: Mapping[str, Any]
) -> bool:
    """Say whether the HTML has changed since the author wrote the text."""
    if "text" in changes or content.get("text") is None:
        return False
    return email.text_is_stale or content.get("html") != email.content.get("html")


def text_of(email: StoredEmail) -> str:
    """Give the text of a mail: its author's, else the one that is read from its HTML."""
    written: str | None = email.content.get("text")
    return readable_text.text_of(email.content.get("html") or "") if written is None else written


def _contact_tags(content: Mapping[str, Any]) -> set[str]:
    """Name the fields of contacts whose merge tags a mail holds."""
    templates = filter(None, map(content.get, _WITH_TAGS))
    tags = (tag for template in templates for tag in tags_in(template))
    return {key for scope, key in tags if scope == "contact"}


async def approve(app_context: AppContext, workspace_id: UUID, email_id: UUID) -> StoredEmail:
    """Let flows send a mail, as it is now; the executor gets its content.

    Raises:
        Problem: If there is no such mail, or something is missing.
    """
    async with app_context.relay.unit() as unit:
        email = await lock(unit, workspace_id, email_id)
        if email.status == "approved":
            return email
        _check_complete(email)
        now = app_context.clock.now()
        tags = _contact_tags(email.content)
        approved = await emails.change_status(unit.tx, email, "approved", now, tags)
        unit.enqueue(
            EmailDefined(id=uuid4(), time=now, workspace_id=workspace_id, email=_content(approved))
        )
        return approved


async def unapprove(app_context: AppContext, workspace_id: UUID, email_id: UUID) -> StoredEmail:
    """Make a mail a draft again.

    Raises:
        Problem: If there is no such mail, or an active flow sends it.
    """
    async with app_context.relay.unit() as unit:
        email = await lock(unit, workspace_id, email_id)
        if email.status == "draft":
            return email
        await _check_unused(unit, workspace_id, email_id)
        return await emails.change_status(unit.tx, email, "draft", app_context.clock.now())


async def delete(app_context: AppContext, workspace_id: UUID, email_id: UUID) -> None:
    """Delete a mail. A flow that names it is not ready until it names another one.

    Raises:
        Problem: If there is no such mail, or an active flow sends it.
    """
    async with app_context.relay.unit() as unit:
        await lock(unit, workspace_id, email_id)
        await _check_unused(unit, workspace_id, email_id)
        await emails.delete(unit.tx, workspace_id, email_id)


async def _check_unused(unit: Unit, workspace_id: UUID, email_id: UUID) -> None:
    naming = await flows.active_naming(unit.tx, workspace_id, email_id)
    sending = [one for one in naming if email_id in definition_of(one).emails_named()]
    if sending:
        details = {"flow_ids": [str(flow.flow_id) for flow in sending]}
        raise Problem("conflict", "email_in_use", "An active flow sends this email", details)


async def lock(unit: Unit, workspace_id: UUID, email_id: UUID) -> StoredEmail:
    """Read a mail and keep others from changing it.

    Raises:
        Problem: If there is none.
    """
    email = await emails.lock(unit.tx, workspace_id, email_id)
    if email is None:
        raise email_not_found()
    return email


def _check_complete(email: StoredEmail) -> None:
    missing = [label for name, label in _NEEDED.items() if not email.content.get(name)]
    if missing:
        message = f"The email is missing: {', '.join(missing)}"
        raise Problem("invalid", "email_not_ready", message, {"missing": missing})


def _content(email: StoredEmail) -> EmailContent:
    return EmailContent.model_validate(
        {**email.content, "email_id": email.email_id, "version": email.version}
    )
