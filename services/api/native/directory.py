"""`/v1/contacts`, `/v1/lists`, `/v1/custom-fields`: the built-in directory."""

import re
from typing import Annotated, Any, Literal, Self
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationError,
    model_validator,
)

from libs.contracts.contact_events import Fields
from libs.domain.contact import Scalar
from services.api.http.keys import ContextParam, Workspace
from services.api.native import serializers
from services.api.store import directory as store
from services.api.use_cases import contacts
from services.api.use_cases.bodies import problem_of
from services.api.use_cases.contacts import NewContact
from services.api.use_cases.problems import Problem

router = APIRouter(tags=["directory"])
Json = dict[str, Any]
Text = Annotated[str, Field(max_length=255)] | None
ApiName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_NO_WORD = re.compile(r"[^a-z0-9]+")
_MOST_CUSTOM_FIELDS = 200


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ContactFields(_Body):
    """Standard fields of a contact, in snake_case (README.md)."""

    email: Annotated[str, Field(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    phone: Annotated[str, Field(max_length=50)] | None = None
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
    tented_score: float | None = None
    unsubscribed: bool = False
    marketing_email_subscribed: bool | None = None
    marketing_sms_subscribed: bool | None = None

    def standard(self) -> dict[str, Scalar]:
        """Give the fields that were sent, by their camelCase key."""
        sent = self.model_dump(include=set(ContactFields.model_fields), exclude_unset=True)
        return {_camel(name): value for name, value in sent.items()}


class ContactDraft(ContactFields):
    """A contact to create; it needs an e-mail address or a phone number."""

    contact_id: UUID | None = None
    client_item_id: str | None = None
    custom_fields: dict[str, Scalar] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.email and not self.phone:
            raise ValueError("email or phone is required")
        return self


class ContactDrafts(_Body):
    """Contacts to create, each accepted or rejected by itself: a wrong one spoils no other."""

    items: Annotated[list[SkipValidation[ContactDraft]], Field(min_length=1, max_length=25)]


class ContactPatch(ContactFields):
    """Fields to set; null empties one."""

    custom_fields: dict[str, Scalar] = {}


class ListDraft(_Body):
    """A static list; its id may be the caller's own."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    list_id: UUID | None = None


class CustomFieldDraft(_Body):
    """A custom field of contacts. Without an API name it gets one from its name.

    `text` is what rules call `string`; both words are accepted.
    """

    name: Annotated[str, Field(min_length=1, max_length=255)]
    api_name: ApiName
    type: Literal["text", "string", "number", "boolean", "date"]

    @model_validator(mode="before")
    @classmethod
    def _named(cls, sent: Any) -> Any:
        if isinstance(sent, dict) and isinstance(sent.get("name"), str) and "api_name" not in sent:
            return {**sent, "api_name": _NO_WORD.sub("_", sent["name"].lower()).strip("_")[:63]}
        return sent

    def definition(self) -> dict[str, str]:
        """Write it as the store keeps it."""
        return self.model_dump() | {"type": "string" if self.type == "text" else self.type}


@router.post("/v1/contacts")
async def create_contacts(
    app_context: ContextParam, workspace: Workspace, body: ContactDrafts
) -> Json:
    """Create contacts, by publishing that they came into being."""
    read = [_read_item(sent) for sent in body.items]
    good = [one for one in read if isinstance(one, ContactDraft)]
    new = [NewContact(one.contact_id, one.standard(), one.custom_fields) for one in good]
    created = iter(await contacts.create(app_context, workspace, new))
    results = [
        _result(index, sent, next(created) if isinstance(one, ContactDraft) else one)
        for index, (sent, one) in enumerate(zip(body.items, read, strict=True))
    ]
    accepted = sum(one["status"] == "accepted" for one in results)
    return {"results": results, "accepted": accepted, "rejected": len(results) - accepted}


@router.get("/v1/contacts/{contact_id}")
async def read_contact(app_context: ContextParam, workspace: Workspace, contact_id: UUID) -> Json:
    """Give one contact."""
    return serializers.contact(await contacts.read(app_context, workspace, contact_id))


@router.patch("/v1/contacts/{contact_id}")
async def update_contact(
    app_context: ContextParam, workspace: Workspace, contact_id: UUID, body: ContactPatch
) -> Json:
    """Set fields of a contact."""
    data = Fields(fields=body.standard(), custom_fields=body.custom_fields)
    await contacts.update(app_context, workspace, contact_id, data)
    return serializers.contact(await contacts.read(app_context, workspace, contact_id))


@router.delete("/v1/contacts/{contact_id}", status_code=202)
async def delete_contact(app_context: ContextParam, workspace: Workspace, contact_id: UUID) -> Json:
    """Delete a contact; its memberships end, and what is held of the person is erased."""
    await contacts.delete(app_context, workspace, contact_id)
    return {"contact_id": str(contact_id), "deleted": True}


@router.post("/v1/lists", status_code=201)
async def create_list(app_context: ContextParam, workspace: Workspace, body: ListDraft) -> Json:
    """Create a static list, or name one that only events have named so far by its id.

    A list with this id that has a name already stays as it is; the answer shows it.
    """
    list_id, now = body.list_id or uuid4(), app_context.clock.now()
    async with app_context.relay.unit() as unit:
        return serializers.contact_list(
            await store.name_list(unit.tx, workspace, list_id, body.name, now)
        )


@router.get("/v1/lists")
async def list_lists(app_context: ContextParam, workspace: Workspace) -> Json:
    """Give every list."""
    found = await store.lists(app_context.pool, workspace)
    return {"lists": [serializers.contact_list(one) for one in found]}


@router.post("/v1/lists/{list_id}/contacts/{contact_id}")
async def put_on_list(
    app_context: ContextParam, workspace: Workspace, list_id: UUID, contact_id: UUID
) -> Json:
    """Put a contact on a list."""
    await contacts.put_on_list(app_context, workspace, list_id, contact_id)
    return {"list_id": str(list_id), "contact_id": str(contact_id), "member": True}


@router.delete("/v1/lists/{list_id}/contacts/{contact_id}")
async def take_off_list(
    app_context: ContextParam, workspace: Workspace, list_id: UUID, contact_id: UUID
) -> Json:
    """Take a contact off a list."""
    await contacts.take_off_list(app_context, workspace, list_id, contact_id)
    return {"list_id": str(list_id), "contact_id": str(contact_id), "member": False}


@router.post("/v1/custom-fields", status_code=201)
async def create_custom_field(
    app_context: ContextParam, workspace: Workspace, body: CustomFieldDraft
) -> Json:
    """Define a custom field."""
    field_id, definition = uuid4(), body.definition()
    async with app_context.relay.unit() as unit:
        if len(await store.custom_fields(unit.tx, workspace)) >= _MOST_CUSTOM_FIELDS:
            message = f"A workspace has at most {_MOST_CUSTOM_FIELDS} custom fields"
            raise Problem("conflict", "custom_field_limit_reached", message)
        added = await store.add_custom_field(unit.tx, workspace, field_id, definition)
    if not added:
        message = f"There is a custom field {body.api_name} already"
        raise Problem("conflict", "custom_field_exists", message)
    return serializers.custom_field({"custom_field_id": field_id, **definition})


@router.get("/v1/custom-fields")
async def list_custom_fields(app_context: ContextParam, workspace: Workspace) -> Json:
    """Give every custom field."""
    found = await store.custom_fields(app_context.pool, workspace)
    return {"custom_fields": [serializers.custom_field(one) for one in found]}


def _read_item(sent: Any) -> ContactDraft | Problem:
    """Read one contact to create, or say what is wrong with it."""
    try:
        return ContactDraft.model_validate(sent)
    except ValidationError as error:
        return problem_of(error, sent)


def _result(index: int, sent: Any, outcome: UUID | Problem) -> Json:
    accepted = isinstance(outcome, UUID)
    result: Json = {
        "index": index,
        "client_item_id": _client_item_id(sent),
        "status": "accepted" if accepted else "rejected",
        "contact_id": str(outcome) if accepted else None,
        "error": None,
    }
    if isinstance(outcome, Problem):
        result["error"] = {"code": outcome.code, "message": outcome.message}
        result["contact_id"] = (outcome.details or {}).get("contact_id")
    return result


def _client_item_id(sent: Any) -> str | None:
    """Give the caller's own id of an item, even of one that cannot be read."""
    own_id = sent.get("client_item_id") if isinstance(sent, dict) else None
    return own_id if isinstance(own_id, str) else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
