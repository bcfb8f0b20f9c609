"""`/v1/custom-fields`: the definitions of custom fields."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from services.api.http.keys import ContextParam, Workspace
from services.api.native import serializers
from services.api.store import directory as store
from services.api.use_cases import custom_fields

router = APIRouter(prefix="/v1/custom-fields")
Json = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=255)]
ApiName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_NO_WORD = re.compile(r"[^a-z0-9]+")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CustomFieldDraft(_Body):
    """A custom field of contacts. Without an API name it gets one from its name.

    `text` is what rules call `string`; both words are accepted.
    """

    name: Name
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


class CustomFieldPatch(_Body):
    """What may change of a custom field: its API name and its type never do."""

    name: Name = ""
    active: StrictBool = True


@router.post("", status_code=201)
async def create_custom_field(
    app_context: ContextParam, workspace: Workspace, body: CustomFieldDraft
) -> Json:
    """Define a custom field."""
    created = await custom_fields.create(app_context, workspace, body.definition())
    return serializers.custom_field(created)


@router.get("")
async def list_custom_fields(
    app_context: ContextParam, workspace: Workspace, *, active: bool | None = None
) -> Json:
    """Give every custom field, by its API name; there are never many."""
    found = await store.custom_fields(app_context.pool, workspace)
    shown = [one for one in found if active is None or one["active"] is active]
    return {"custom_fields": [serializers.custom_field(one) for one in shown]}


@router.get("/{custom_field_id}")
async def read_custom_field(
    app_context: ContextParam, workspace: Workspace, custom_field_id: UUID
) -> Json:
    """Give one custom field."""
    return serializers.custom_field(
        await custom_fields.read(app_context, workspace, custom_field_id)
    )


@router.patch("/{custom_field_id}")
async def change_custom_field(
    app_context: ContextParam, workspace: Workspace, custom_field_id: UUID, body: CustomFieldPatch
) -> Json:
    """Rename a custom field, deactivate it or make it active again."""
    changes = body.model_dump(exclude_unset=True)
    return serializers.custom_field(
        await custom_fields.change(app_context, workspace, custom_field_id, changes)
    )
