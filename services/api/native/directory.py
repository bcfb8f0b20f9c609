"""`/v1/contacts`, `/v1/lists`, `/v1/custom-fields`: the built-in directory."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.contracts.contact_events import Fields
from libs.domain.contact import Scalar
from services.api.http.keys import DeskParam, Workspace
from services.api.native import shapes
from services.api.store import directory as store
from services.api.use_cases import contacts
from services.api.use_cases.contacts import NewContact
from services.api.use_cases.problems import Problem

router = APIRouter(tags=["directory"])
Json = dict[str, Any]
Text = Annotated[str, Field(max_length=255)] | None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ContactFields(_Body):
    """Standard fields of a contact, in snake_case (reference, section 10.1)."""

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


class CreateContact(ContactFields):
    """A contact to create; it needs an e-mail address or a phone number."""

    contact_id: UUID | None = None
    client_item_id: str | None = None
    custom_fields: dict[str, Scalar] = {}

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.email and not self.phone:
            raise ValueError("email or phone is required")
        return self


class CreateContacts(_Body):
    """Contacts to create, each accepted or rejected by itself."""

    items: Annotated[list[CreateContact], Field(min_length=1, max_length=25)]


class UpdateContact(ContactFields):
    """Fields to set; null empties one."""

    custom_fields: dict[str, Scalar] = {}


class CreateList(_Body):
    """A static list; its id may be the caller's own."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    list_id: UUID | None = None


class CreateCustomField(_Body):
    """A custom field of contacts."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    api_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    type: Literal["string", "number", "date", "boolean"]


@router.post("/v1/contacts")
async def create_contacts(desk: DeskParam, workspace: Workspace, body: CreateContacts) -> Json:
    """Create contacts, by publishing that they came into being."""
    new = [NewContact(one.contact_id, one.standard(), one.custom_fields) for one in body.items]
    outcomes = await contacts.create(desk, workspace, new)
    results = [
        _result(index, item, outcome)
        for index, (item, outcome) in enumerate(zip(body.items, outcomes, strict=True))
    ]
    accepted = sum(one["status"] == "accepted" for one in results)
    return {"results": results, "accepted": accepted, "rejected": len(results) - accepted}


@router.get("/v1/contacts/{contact_id}")
async def read_contact(desk: DeskParam, workspace: Workspace, contact_id: UUID) -> Json:
    """Give one contact."""
    return shapes.contact(await contacts.read(desk, workspace, contact_id))


@router.patch("/v1/contacts/{contact_id}")
async def update_contact(
    desk: DeskParam, workspace: Workspace, contact_id: UUID, body: UpdateContact
) -> Json:
    """Set fields of a contact."""
    data = Fields(fields=body.standard(), custom_fields=body.custom_fields)
    await contacts.update(desk, workspace, contact_id, data)
    return shapes.contact(await contacts.read(desk, workspace, contact_id))


@router.delete("/v1/contacts/{contact_id}", status_code=202)
async def delete_contact(desk: DeskParam, workspace: Workspace, contact_id: UUID) -> Json:
    """Delete a contact; its runs end."""
    await contacts.delete(desk, workspace, contact_id)
    return {"contact_id": str(contact_id), "deleted": True}


@router.post("/v1/lists", status_code=201)
async def create_list(desk: DeskParam, workspace: Workspace, body: CreateList) -> Json:
    """Create a static list; one with this id that exists already stays as it is."""
    list_id, now = body.list_id or uuid4(), desk.clock.now()
    async with desk.relay.unit() as unit:
        await store.put_lists(unit.tx, [(workspace, list_id, body.name)], now)
    return {"list_id": str(list_id), "name": body.name, "created_at": shapes.instant(now)}


@router.get("/v1/lists")
async def list_lists(desk: DeskParam, workspace: Workspace) -> Json:
    """Give every list."""
    found = await store.lists(desk.pool, workspace)
    return {
        "lists": [
            {
                "list_id": str(one["list_id"]),
                "name": one["name"],
                "created_at": shapes.instant(one["created_at"]),
            }
            for one in found
        ]
    }


@router.post("/v1/lists/{list_id}/contacts/{contact_id}")
async def put_on_list(
    desk: DeskParam, workspace: Workspace, list_id: UUID, contact_id: UUID
) -> Json:
    """Put a contact on a list."""
    await contacts.put_on_list(desk, workspace, list_id, contact_id)
    return {"list_id": str(list_id), "contact_id": str(contact_id), "member": True}


@router.delete("/v1/lists/{list_id}/contacts/{contact_id}")
async def take_off_list(
    desk: DeskParam, workspace: Workspace, list_id: UUID, contact_id: UUID
) -> Json:
    """Take a contact off a list."""
    await contacts.take_off_list(desk, workspace, list_id, contact_id)
    return {"list_id": str(list_id), "contact_id": str(contact_id), "member": False}


@router.post("/v1/custom-fields", status_code=201)
async def create_custom_field(
    desk: DeskParam, workspace: Workspace, body: CreateCustomField
) -> Json:
    """Define a custom field."""
    field_id = uuid4()
    async with desk.relay.unit() as unit:
        added = await store.add_custom_field(unit.tx, workspace, field_id, body.model_dump())
    if not added:
        message = f"There is a custom field {body.api_name} already"
        raise Problem("conflict", "custom_field_exists", message)
    return {"custom_field_id": str(field_id), **body.model_dump(), "active": True}


@router.get("/v1/custom-fields")
async def list_custom_fields(desk: DeskParam, workspace: Workspace) -> Json:
    """Give every custom field."""
    found = await store.custom_fields(desk.pool, workspace)
    return {
        "custom_fields": [
            {**one, "custom_field_id": str(one["custom_field_id"]), "active": True} for one in found
        ]
    }


def _result(index: int, item: CreateContact, outcome: UUID | Problem) -> Json:
    accepted = isinstance(outcome, UUID)
    result: Json = {
        "index": index,
        "client_item_id": item.client_item_id,
        "status": "accepted" if accepted else "rejected",
        "contact_id": str(outcome) if accepted else None,
        "error": None,
    }
    if isinstance(outcome, Problem):
        result["error"] = {"code": outcome.code, "message": outcome.message}
        result["contact_id"] = (outcome.details or {}).get("contact_id")
    return result


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
