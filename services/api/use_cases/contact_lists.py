"""Lists of contacts. Who is on a static one is said by events; a dynamic one is its rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from libs.chassis.exactly_once.relay import Unit
from libs.chassis.postgres.pool import Reads
from libs.chassis.telemetry.logs import logger
from libs.contracts.contact_events import ListContactAdded, ListContactRemoved, ListRef
from libs.contracts.message import derived_id
from libs.domain.contact import CustomField
from libs.domain.rules import (
    OPERATORS,
    Activity,
    AnyRule,
    AudienceRules,
    CustomFieldCondition,
    Group,
    ListMembership,
)
from services.api.store import contact_lists as store
from services.api.store import directory, flow_dependencies
from services.api.store.contact_lists import ListContent, StoredList
from services.api.store.directory import StoredContact
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contacts import Outcome, envelope
from services.api.use_cases.directory_wait import until_shown
from services.api.use_cases.problems import Problem, contact_not_found, invalid, list_not_found

MOST_BELOW = 20
"""On how many other dynamic lists one may rest, to any depth: judging it judges them all."""
_log = logger(__name__)
_RULES: TypeAdapter[AnyRule] = TypeAdapter(AudienceRules)
Place = tuple[str, AnyRule]
_NO_ACTIVITY = (
    "a dynamic list is judged by the contact directory, which does not know what contacts did; "
    "rules of flows may ask for it"
)
"""A node of a tree, and its path."""


async def create(
    app_context: AppContext, workspace_id: UUID, list_id: UUID, content: ListContent
) -> StoredList:
    """Create a list, or name one that only events have named so far by its id.

    A static list with this id that has a name already stays as it is.

    Raises:
        Problem: If a dynamic list's id is taken, or its rules name what does not exist or itself.
    """
    now = app_context.clock.now()
    async with app_context.relay.unit() as unit:
        if content.rules is None:
            return await store.name_list(unit.tx, workspace_id, list_id, content, now)
        checked = await _checked(unit, workspace_id, list_id, content)
        added = await store.add_dynamic(unit.tx, workspace_id, list_id, checked, now)
        await flow_dependencies.changed(unit.tx, workspace_id, list_id)
    app_context.dependency_changed.set()
    if added is None:
        raise Problem("conflict", "list_already_exists", "There is a list with this id already")
    return added


async def change(
    app_context: AppContext, workspace_id: UUID, list_id: UUID, changes: Mapping[str, Any]
) -> StoredList:
    """Rename a list, describe it anew, or give a dynamic one other rules.

    Flows that ask about it, itself or through other lists, hear of other rules soon after.

    Raises:
        Problem: If there is no such list, a static one would get rules, or rules are wrong.
    """
    async with app_context.relay.unit() as unit:
        await store.hold(unit.tx, workspace_id)
        known = await read(unit.tx, workspace_id, list_id)
        content = ListContent(
            known.name, known.description, known.rules, known.written, tuple(known.rests_on)
        )
        content = ListContent(**_written(content) | dict(changes))
        if "rules" in changes:
            if (content.rules is None) is (known.kind == "dynamic"):
                raise invalid("rules", f"a {known.kind} list stays what it is")
            content = await _checked(unit, workspace_id, list_id, content)
            await flow_dependencies.changed(unit.tx, workspace_id, list_id)
        now = app_context.clock.now()
        changed = await store.change(unit.tx, workspace_id, list_id, content, now)
    app_context.dependency_changed.set()
    return changed


def _written(content: ListContent) -> dict[str, Any]:
    return {name: getattr(content, name) for name in ListContent.__slots__}


async def read(tx: Reads, workspace_id: UUID, list_id: UUID) -> StoredList:
    """Read a list.

    Raises:
        Problem: If there is none.
    """
    found = (await store.read(tx, workspace_id, [list_id])).get(list_id)
    if found is None:
        raise list_not_found()
    return found


async def _checked(
    unit: Unit, workspace_id: UUID, list_id: UUID, content: ListContent
) -> ListContent:
    """See that what the rules of a list name exists, and that the list does not rest on itself.

    Raises:
        Problem: If a list or field is unknown, an operator does not fit, or there is a circle.
    """
    places = list(_places(_RULES.validate_python(content.rules)))
    await store.hold(unit.tx, workspace_id)
    fields = await directory.custom_field_definitions(unit.tx, workspace_id)
    named = {node.list_id for _, node in places if isinstance(node, ListMembership)}
    below = await store.below(unit.tx, workspace_id, named)
    for path, node in places:
        if isinstance(node, Activity):
            raise invalid(f"{path}.source", _NO_ACTIVITY)
        if isinstance(node, CustomFieldCondition):
            _check_field(path, node, fields)
        if isinstance(node, ListMembership) and node.list_id not in below.keys() | {list_id}:
            raise invalid(f"{path}.list_id", "there is no such list")
    if list_id in named | below.keys():
        raise invalid("rules", "a dynamic list may not contain itself, not through others either")
    if sum(one.kind == "dynamic" for one in below.values()) > MOST_BELOW:
        raise invalid("rules", f"a dynamic list rests on at most {MOST_BELOW} others")
    return replace(content, rests_on=tuple(sorted(named)))


def _check_field(path: str, node: CustomFieldCondition, fields: Mapping[UUID, CustomField]) -> None:
    definition = fields.get(node.field_definition_id)
    if definition is None:
        raise invalid(f"{path}.field_definition_id", "there is no such active custom field")
    if node.operator not in OPERATORS[definition.type]:
        message = f"{node.operator} does not apply to a {definition.type} field"
        raise invalid(f"{path}.operator", message)


def _places(rule: AnyRule, path: str = "rules") -> Iterable[Place]:
    yield path, rule
    if isinstance(rule, Group):
        for at, child in enumerate(rule.conditions):
            yield from _places(child, f"{path}.conditions.{at}")


async def rules_of(
    tx: Reads, workspace_id: UUID, list_ids: Iterable[UUID]
) -> dict[UUID, AnyRule | None]:
    """Give the trees of the dynamic lists among these, and of all they rest on, to any depth.

    Each comes after all that it asks about; None is what this version of the program cannot judge.
    A caller whose result must stay true as long as its transaction lasts asks
    `store.contact_lists.keep` for that before.
    """
    found = await store.below(tx, workspace_id, list_ids)
    dynamic = {one.list_id: one for one in found.values() if one.rules is not None}
    order = TopologicalSorter({one: dynamic[one].rests_on for one in dynamic})
    try:
        ordered = [list_id for list_id in order.static_order() if list_id in dynamic]
    except CycleError as error:
        raise AssertionError("dynamic lists in a circle") from error
    return {list_id: _read(dynamic[list_id]) for list_id in ordered}


def _read(stored: StoredList) -> AnyRule | None:
    try:
        return _RULES.validate_python(stored.rules)
    except ValidationError:
        _log.warning("list.not_judgeable", list_id=str(stored.list_id))
        return None


async def put_on(
    app_context: AppContext, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID]
) -> list[Outcome]:
    """Put contacts on a static list. Doing so twice changes nothing and fires no trigger.

    Raises:
        Problem: If there is no such list, it is dynamic, or Kafka cannot be reached.
    """
    return await _move(app_context, workspace_id, list_id, contact_ids, on=True)


async def take_off(
    app_context: AppContext, workspace_id: UUID, list_id: UUID, contact_ids: Sequence[UUID]
) -> list[Outcome]:
    """Take contacts off a static list.

    Raises:
        Problem: As `put_on`.
    """
    return await _move(app_context, workspace_id, list_id, contact_ids, on=False)


async def _move(
    app_context: AppContext,
    workspace_id: UUID,
    list_id: UUID,
    contact_ids: Sequence[UUID],
    *,
    on: bool,
) -> list[Outcome]:
    if (await read(app_context.pool, workspace_id, list_id)).kind == "dynamic":
        message = "This list is dynamic: its rules say who is on it"
        raise Problem("invalid", "list_not_static", message)
    keys = [(workspace_id, contact_id) for contact_id in contact_ids]
    found = await directory.read_contacts(app_context.pool, keys)
    moving = [one for one in found.values() if (list_id in one.snapshot.lists) is not on]
    kind = ListContactAdded if on else ListContactRemoved
    await app_context.publish_all(
        [
            kind(**_envelope(app_context, one, list_id, on=on), data=ListRef(list_id=list_id))
            for one in moving
        ]
    )
    wanted = {one.snapshot.contact_id: partial(_is_on, list_id, on) for one in moving}
    await until_shown(app_context, workspace_id, wanted)
    return [key[1] if key in found else contact_not_found() for key in keys]


def _envelope(
    app_context: AppContext, contact: StoredContact, list_id: UUID, *, on: bool
) -> dict[str, Any]:
    """Give what an event has that moves a contact as it is now.

    Who moves it from the same state at the same time says the same event: it counts once.
    """
    contact_id = contact.snapshot.contact_id
    event_id = derived_id("list", contact_id, contact.revision, list_id, on)
    return envelope(app_context, contact.workspace_id, contact_id, str(event_id))


def _is_on(list_id: UUID, on: bool, contact: StoredContact | None) -> bool:  # noqa: FBT001  (bound by partial)
    return contact is None or (list_id in contact.snapshot.lists) is on
