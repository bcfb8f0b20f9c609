"""Forms: a submission is an event about its contact, who is found by an address, or created."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.contact_events import ContactCreated, Fields, FormSubmitted, Submission
from libs.contracts.message import derived_id
from libs.domain.contact import Scalar
from services.api.store import directory, form_submissions
from services.api.store.address_claims import Claim
from services.api.store.form_submissions import StoredSubmission
from services.api.use_cases import addresses
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contacts import envelope
from services.api.use_cases.directory_wait import until_shown
from services.api.use_cases.problems import unavailable


@dataclass(frozen=True, slots=True)
class FormSubmission:
    """A submitted form.

    Attributes:
        submission_id: Its id: the same one counts once.
        form_id: Which form.
        tent_id: Where the form stands, if anywhere.
        fields: Its answers, by field name.
        contact: Those answers that say something of the contact, by camelCase key.
    """

    submission_id: str
    form_id: str
    tent_id: UUID | None
    fields: Mapping[str, Any]
    contact: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Submitted:
    """Whose submission it was, if anybody's, and whether the contact came with it."""

    contact_id: UUID | None
    created: bool = False


async def submit(
    app_context: AppContext, workspace_id: UUID, submission: FormSubmission
) -> Submitted:
    """Publish a submission, behind the creation of its contact if there was none.

    One that names neither an address nor a phone number is kept, and nobody hears of it.

    Raises:
        Problem: If Kafka cannot be reached.
    """
    email, phone = addresses.lowered(submission.contact), submission.contact.get("phone")
    if not email and not phone:
        await _keep(app_context, workspace_id, submission)
        return Submitted(None)
    contact_id, name = uuid4(), email or f"tel:{phone}"
    wanted = Claim(name, contact_id, chosen=False)
    async with addresses.claimed(app_context, workspace_id, [wanted]) as held:
        known = await _known(app_context, workspace_id, email, str(phone or ""))
        if known is None and name in held.others:
            known = await _coming(app_context, workspace_id, held.others[name])
        created = known is None
        contact_id = known or held.mine.get(name, contact_id)
        await _publish(app_context, workspace_id, submission, contact_id, created=created)
        if created:
            shown = {contact_id: lambda contact: contact is not None}
            held.shown = await until_shown(app_context, workspace_id, shown)
    return Submitted(contact_id, created)


async def _known(
    app_context: AppContext, workspace_id: UUID, email: str, phone: str
) -> UUID | None:
    """Say who has this address, or, where there is none, this number: the oldest of several."""
    if email:
        found = await directory.by_emails(app_context.pool, workspace_id, [email])
        return found[email][0] if found else None
    found = await directory.by_phones(app_context.pool, workspace_id, [phone])
    return found[phone][0] if found else None


async def _coming(app_context: AppContext, workspace_id: UUID, contact_id: UUID) -> UUID:
    """Wait for a contact that somebody else is creating: what is said of it must come after it.

    Raises:
        Problem: If it does not come.
    """
    shown = {contact_id: lambda contact: contact is not None}
    if not await until_shown(app_context, workspace_id, shown):
        raise unavailable()
    return contact_id


async def _publish(
    app_context: AppContext,
    workspace_id: UUID,
    submission: FormSubmission,
    contact_id: UUID,
    *,
    created: bool,
) -> None:
    """Publish in this order: what contacts are known by comes before what they did."""
    event_id = derived_id("form", submission.form_id, submission.submission_id)
    about = Submission(
        tent_id=submission.tent_id, form_id=submission.form_id, fields=dict(submission.fields)
    )
    submitted = FormSubmitted(
        **envelope(app_context, workspace_id, contact_id, str(event_id)), data=about
    )
    first = ContactCreated(
        **envelope(app_context, workspace_id, contact_id),
        data=Fields(fields=dict(submission.contact)),
    )
    await app_context.publish_all([first, submitted] if created else [submitted])


async def _keep(app_context: AppContext, workspace_id: UUID, submission: FormSubmission) -> None:
    async with app_context.relay.unit() as unit:
        kept = StoredSubmission(
            submission.submission_id, workspace_id, submission.form_id, submission.tent_id,
            dict(submission.fields), app_context.clock.now(),
        )  # fmt: skip
        await form_submissions.add(unit.tx, kept)
