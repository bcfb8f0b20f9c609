"""Custom fields: their definitions, and whether values fit them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from libs.domain.calendar import read_instant
from libs.domain.contact import STANDARD_FIELDS, FieldType, Scalar
from services.api.store import custom_fields, directory, flow_dependencies
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.problems import Problem, invalid

MOST_CUSTOM_FIELDS = 200
_MOST_CHARACTERS = 10_000
_SAY = {
    FieldType.STRING: "text",
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "true or false",
    FieldType.DATE: "an ISO 8601 date or instant",
}
Definitions = Mapping[str, FieldType]
"""The types of a workspace's active custom fields, by api name."""


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


_RESERVED = frozenset(STANDARD_FIELDS) | frozenset(map(_snake, STANDARD_FIELDS)) | {"contact_id"}
"""Names that mean something of every contact already."""


async def create(
    app_context: AppContext, workspace_id: UUID, definition: dict[str, str]
) -> dict[str, Any]:
    """Define a custom field.

    Raises:
        Problem: If its api name is taken or means a standard field, or there are too many.
    """
    api_name, field_id = definition["api_name"], uuid4()
    if api_name in _RESERVED:
        raise invalid("api_name", f"{api_name} is a standard field of every contact")
    async with app_context.relay.unit() as unit:
        await custom_fields.hold(unit.tx, workspace_id)
        if len(await directory.custom_fields(unit.tx, workspace_id)) >= MOST_CUSTOM_FIELDS:
            message = f"A workspace has at most {MOST_CUSTOM_FIELDS} custom fields"
            raise Problem("conflict", "custom_field_limit_reached", message)
        added = await custom_fields.add(unit.tx, workspace_id, field_id, definition)
    if not added:
        message = f"There is a custom field {api_name} already"
        raise Problem("conflict", "custom_field_exists", message)
    return {"custom_field_id": field_id, **definition, "active": True}


async def change(
    app_context: AppContext, workspace_id: UUID, field_id: UUID, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Rename a custom field, deactivate it or make it active again.

    Flows that look at it hear soon after whether it is active.

    Raises:
        Problem: If there is no such field.
    """
    name, active = changes.get("name"), changes.get("active")
    async with app_context.relay.unit() as unit:
        await custom_fields.hold(unit.tx, workspace_id)
        changed = await custom_fields.change(unit.tx, workspace_id, field_id, name, active=active)
        if active is not None:
            await flow_dependencies.changed(unit.tx, workspace_id, field_id)
    app_context.dependency_changed.set()
    if changed is None:
        raise custom_field_not_found()
    return changed


async def read(app_context: AppContext, workspace_id: UUID, field_id: UUID) -> dict[str, Any]:
    """Read one definition.

    Raises:
        Problem: If there is no such field.
    """
    for one in await directory.custom_fields(app_context.pool, workspace_id):
        if one["custom_field_id"] == field_id:
            return one
    raise custom_field_not_found()


def custom_field_not_found() -> Problem:
    """No such custom field in this workspace."""
    return Problem("not_found", "custom_field_not_found", "Custom field not found")


async def definitions(app_context: AppContext, workspace_id: UUID) -> Definitions:
    """Give what values are checked against."""
    found = await directory.custom_field_definitions(app_context.pool, workspace_id)
    return {one.api_name: one.type for one in found.values()}


def check_values(known: Definitions, values: Mapping[str, Scalar]) -> None:
    """See that values fit the active custom fields they are for; null fits all of them.

    Raises:
        Problem: If a field is unknown or inactive, or a value is not of its type.
    """
    for name, value in values.items():
        path = f"custom_fields.{name}"
        kind = known.get(name)
        if kind is None:
            raise invalid(path, "there is no active custom field of this name")
        if value is not None and not _fits(kind, value):
            raise invalid(path, f"this custom field takes {_SAY[kind]}")


def _fits(kind: FieldType, value: Scalar) -> bool:
    match kind:
        case FieldType.STRING:
            return isinstance(value, str) and len(value) <= _MOST_CHARACTERS
        case FieldType.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
        case FieldType.DATE:
            return isinstance(value, str) and read_instant(value) is not None
