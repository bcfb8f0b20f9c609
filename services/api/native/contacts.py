"""`/v1/contacts`: contacts, one by one and many at once."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import (
    AliasChoices,
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)
from pydantic.alias_generators import to_camel

from libs.domain.contact import Scalar
from services.api.http.cursors import MOST_COUNTED, CursorPage, cursor_after
from services.api.http.keys import ContextParam, Workspace
from services.api.native import bulk, serializers
from services.api.native.bulk import Json
from services.api.store import directory as store
from services.api.use_cases import contacts
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contacts import ContactChanges, ContactRef, NewContact
from services.api.use_cases.problems import Problem, invalid

router = APIRouter(prefix="/v1/contacts")
Text = Annotated[str, Field(max_length=255)] | None
Email = Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")]
Phone = Annotated[str, Field(min_length=1, max_length=50)]
_EACH_KIND = 1000
"""How many contacts a search looks at of each kind: by address, by name."""


def _either_case(name: str) -> AliasChoices:
    return AliasChoices(name, to_camel(name))


class _Body(BaseModel):
    """Names are in snake_case; camelCase is understood too."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=AliasGenerator(validation_alias=_either_case)
    )


class ContactFields(_Body):
    """Standard fields of a contact (README.md)."""

    own: ClassVar[frozenset[str]] = frozenset({"contact_id", "client_item_id", "custom_fields"})

    email: Email | None = None
    phone: Phone | None = None
    display_name: Text = None
    first_name: Text = None
    last_name: Text = None
    company: Text = None
    job_title: Text = None
    address: Annotated[str, Field(max_length=500)] | None = None
    address2: Text = None
    city: Text = None
    state: Text = None
    country: Text = None
    zip_code: Annotated[str, Field(max_length=50)] | None = None
    lead_status: Annotated[str, Field(max_length=100)] | None = None
    lifecycle_stage: Annotated[str, Field(max_length=100)] | None = None
    tented_score: StrictInt | StrictFloat | None = None
    unsubscribed: StrictBool = False
    marketing_email_subscribed: StrictBool | None = None
    marketing_sms_subscribed: StrictBool | None = None

    def standard(self) -> dict[str, Scalar]:
        """Give the fields that were sent, by their camelCase key."""
        sent = self.model_dump(exclude=set(self.own), exclude_unset=True)
        return {to_camel(name): value for name, value in sent.items()}


class ContactDraft(ContactFields):
    """A contact to create; it needs an e-mail address or a phone number."""

    contact_id: UUID | None = None
    client_item_id: Text = None
    custom_fields: dict[str, Scalar] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.email and not self.phone:
            raise ValueError("email or phone is required")
        return self

    def item(self) -> NewContact:
        """Give what is to be created."""
        return NewContact(self.contact_id, self.standard(), self.custom_fields)


class ContactUpdate(ContactFields):
    """Fields to set of a contact; null empties one.

    The contact is named by its id; else by its e-mail address; else by its phone number. What names
    it is not set.
    """

    contact_id: UUID | None = None
    client_item_id: Text = None
    custom_fields: dict[str, Scalar] = {}

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not (self.contact_id or self.email or self.phone):
            raise ValueError("contact_id, email or phone is required")
        return self

    def item(self) -> ContactChanges:
        """Give what is to be changed, and of whom."""
        fields = self.standard()
        if self.contact_id:
            return ContactChanges(ContactRef(self.contact_id), fields, self.custom_fields)
        key = "email" if self.email else "phone"
        named = ContactRef(email=self.email, phone=None if self.email else self.phone)
        del fields[key]
        return ContactChanges(named, fields, self.custom_fields)


class ContactDeletion(_Body):
    """A contact to delete, named by its id, its e-mail address or its phone number."""

    contact_id: UUID | None = None
    email: Email | None = None
    phone: Phone | None = None
    client_item_id: Text = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if sum(one is not None for one in (self.contact_id, self.email, self.phone)) != 1:
            raise ValueError("exactly one of contact_id, email and phone is required")
        return self

    def item(self) -> ContactRef:
        """Give who is to be deleted."""
        return ContactRef(self.contact_id, self.email, self.phone)


class ContactDrafts(_Body):
    """Contacts to create, each accepted or rejected by itself: a wrong one spoils no other."""

    items: Annotated[list[SkipValidation[ContactDraft]], Field(min_length=1, max_length=25)]


class ContactUpdates(_Body):
    """Contacts to update, each accepted or rejected by itself."""

    items: Annotated[list[SkipValidation[ContactUpdate]], Field(min_length=1, max_length=25)]


class ContactDeletions(_Body):
    """Contacts to delete, each accepted or rejected by itself."""

    items: Annotated[list[SkipValidation[ContactDeletion]], Field(min_length=1, max_length=25)]


class ContactPatch(ContactFields):
    """Fields to set; null empties one."""

    custom_fields: dict[str, Scalar] = {}


@router.post("")
async def create_contacts(
    app_context: ContextParam, workspace: Workspace, body: ContactDrafts
) -> Json:
    """Create contacts, by publishing that they came into being."""
    read = [bulk.read_item(ContactDraft, sent) for sent in body.items]
    items = [one.item() for one in read if isinstance(one, ContactDraft)]
    return bulk.answer(body.items, read, await contacts.create(app_context, workspace, items))


@router.post("/update")
async def update_contacts(
    app_context: ContextParam, workspace: Workspace, body: ContactUpdates
) -> Json:
    """Set fields of contacts."""
    read = [bulk.read_item(ContactUpdate, sent) for sent in body.items]
    items = [one.item() for one in read if isinstance(one, ContactUpdate)]
    return bulk.answer(body.items, read, await contacts.update(app_context, workspace, items))


@router.delete("")
@router.post("/delete")
async def delete_contacts(
    app_context: ContextParam, workspace: Workspace, body: ContactDeletions
) -> Json:
    """Delete contacts; their memberships end, and what is held of the persons is erased."""
    read = [bulk.read_item(ContactDeletion, sent) for sent in body.items]
    items = [one.item() for one in read if isinstance(one, ContactDeletion)]
    return bulk.answer(body.items, read, await contacts.delete(app_context, workspace, items))


@dataclass(frozen=True, slots=True)
class ContactFilter:
    """Which contacts to list: all, or those that one of these finds."""

    email: Annotated[str | None, Query(min_length=1, max_length=320)] = None
    phone: Annotated[str | None, Query(min_length=1, max_length=50)] = None
    search: Annotated[str | None, Query(min_length=1, max_length=200)] = None

    def query(self) -> Json | None:
        """Write it as the store takes it; None if all are wanted.

        Raises:
            Problem: If more than one is given.
        """
        asked = {"email": self.email, "phone": self.phone, "beginning": self.search}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise invalid("search", "give at most one of email, phone and search")
        return {**asked, "each": _EACH_KIND} if given else None


@router.get("")
async def list_contacts(
    app_context: ContextParam,
    workspace: Workspace,
    page: Annotated[CursorPage, Depends()],
    wanted: Annotated[ContactFilter, Depends()],
) -> Json:
    """List contacts, newest first, or search for some."""
    query = wanted.query()
    if query is None:
        return await _newest(app_context, workspace, page)
    if page.cursor is not None:
        raise invalid("cursor", "a search has pages, and no cursor")
    found, total = await store.searched(
        app_context.pool, workspace_id=workspace, at_most=page.limit, skip=page.skip, **query
    )
    rows = [serializers.contact(one) for one in found]
    return page.listed("contacts", rows, total, None, exact=total < _EACH_KIND)


async def _newest(app_context: AppContext, workspace: UUID, page: CursorPage) -> Json:
    before, at_most = page.after_contact(), page.limit + 1
    found = await store.newest(app_context.pool, workspace, before, at_most, page.skip)
    total = await store.count_contacts(app_context.pool, workspace, MOST_COUNTED + 1)
    shown = found[: page.limit]
    last = shown[-1] if len(found) > page.limit else None
    onward = cursor_after(last.created_at, last.snapshot.contact_id) if last else None
    return page.listed("contacts", [serializers.contact(one) for one in shown], total, onward)


@router.get("/{contact_id}")
async def read_contact(app_context: ContextParam, workspace: Workspace, contact_id: UUID) -> Json:
    """Give one contact."""
    return serializers.contact(await contacts.read(app_context, workspace, contact_id))


@router.patch("/{contact_id}")
async def update_contact(
    app_context: ContextParam, workspace: Workspace, contact_id: UUID, body: ContactPatch
) -> Json:
    """Set fields of a contact."""
    changes = ContactChanges(ContactRef(contact_id), body.standard(), body.custom_fields)
    _raise_problems(await contacts.update(app_context, workspace, [changes]))
    return serializers.contact(await contacts.read(app_context, workspace, contact_id))


@router.delete("/{contact_id}", status_code=202)
async def delete_contact(app_context: ContextParam, workspace: Workspace, contact_id: UUID) -> Json:
    """Delete a contact; its memberships end, and what is held of the person is erased."""
    _raise_problems(await contacts.delete(app_context, workspace, [ContactRef(contact_id)]))
    return {"contact_id": str(contact_id), "deleted": True}


def _raise_problems(outcomes: list[UUID | Problem]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Problem):
            raise outcome
