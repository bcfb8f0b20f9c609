"""What the services are told of flows: all of them, and what their rules name with them.

The rules of dynamic lists and the definitions of custom fields are read under a lock that lasts
until what was made of them is committed. Who changes one of them says so in the same transaction,
and the flows that depend on it are published anew (republishing.py). So whichever comes first, the
publishing of a flow or the change of a list, the services end with both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.exactly_once.relay import Unit
from libs.chassis.postgres.pool import Transaction
from libs.contracts.flow_definitions import FlowDefined
from libs.domain.contact import CustomField
from libs.domain.flow import Definition, Flow, FlowStatus
from libs.domain.rules import Segments
from services.api.store import contact_lists, custom_fields, directory, flow_dependencies
from services.api.store.flows import StoredFlow
from services.api.use_cases.contact_lists import rules_of
from services.api.use_cases.dialects import Dialect

_OVER = (FlowStatus.ARCHIVED, FlowStatus.DELETED)


@dataclass(frozen=True, slots=True)
class Known:
    """What a workspace has, of the things that some definitions name.

    Attributes:
        segments: The rules of dynamic lists, each after all that it asks about.
        custom_fields: Custom fields that are active.
        fields_by_name: The ids of all custom fields, by their api names.
    """

    segments: Segments
    custom_fields: Mapping[UUID, CustomField]
    fields_by_name: Mapping[str, UUID]


def definition_of(flow: StoredFlow) -> Definition:
    """Give what a flow's document was compiled to, maybe by a newer version of the program."""
    return Definition.model_validate(flow.definition)


def written(definition: Definition) -> dict[str, Any]:
    """Write a definition as it is stored."""
    return definition.model_dump(mode="json", exclude_unset=True)


def compiled_anew(flow: StoredFlow, home: Dialect) -> Definition | None:
    """Compile a flow anew if its dialect's compiler has changed since.

    Raises:
        Problem: If it does not take the document any more.
    """
    if flow.compiler >= home.compiler or flow.status is FlowStatus.DELETED:
        return None
    return home.compile(flow.document)


async def keep_named(
    tx: Transaction, workspace_id: UUID, definitions: Iterable[Definition]
) -> Known:
    """Read what definitions name; nobody changes any of it until the transaction ends."""
    named = [definition.names({}) for definition in definitions]
    lists = {list_id for one in named for list_id in one.lists}
    segments: Segments = {}
    if lists:
        await contact_lists.keep(tx, workspace_id)
        segments = await rules_of(tx, workspace_id, lists)
    if not segments and not any(one.custom_fields or one.fields for one in named):
        return Known(segments, {}, {})
    await custom_fields.keep(tx, workspace_id)
    fields = await directory.custom_fields(tx, workspace_id)
    return Known(
        segments,
        directory.active_definitions(fields),
        {field["api_name"]: field["custom_field_id"] for field in fields},
    )


async def publish(unit: Unit, flow: StoredFlow, now: datetime, *, reply: bool = False) -> None:
    """Let the services know of a flow with the transaction that made this version of it.

    With `reply` they are to say when they work by it.
    """
    definition = definition_of(flow)
    known = await keep_named(unit.tx, flow.workspace_id, [] if is_over(flow) else [definition])
    unit.enqueue(defined(flow, known, now, reply=reply))
    await depend(unit.tx, flow.workspace_id, [flow], known)


def defined(flow: StoredFlow, known: Known, now: datetime, *, reply: bool = False) -> FlowDefined:
    """Write what the services are told of a flow: all of it, and what its rules name."""
    definition = definition_of(flow)
    segments = definition.segments_named(known.segments)
    whole = {
        **flow.definition,
        "flow_id": flow.flow_id,
        "workspace_id": flow.workspace_id,
        "version": flow.version,
        "status": flow.status,
        "custom_fields": definition.custom_fields_named(known.custom_fields, segments),
        **({"segments": segments} if segments else {}),
    }
    return FlowDefined(
        id=uuid4(),
        time=now,
        workspace_id=flow.workspace_id,
        flow=Flow.model_validate(whole),
        reply=reply,
    )


async def depend(
    tx: Transaction, workspace_id: UUID, published: Iterable[StoredFlow], known: Known
) -> None:
    """Write down what published flows depend on; one that is over depends on nothing."""
    needs = {
        flow.flow_id: set[UUID]() if is_over(flow) else _needs(flow, known) for flow in published
    }
    await flow_dependencies.put(tx, workspace_id, needs)


def is_over(flow: StoredFlow) -> bool:
    """Say whether nobody can be in a flow any more, so that its rules are of no concern."""
    return flow.status in _OVER


def _needs(flow: StoredFlow, known: Known) -> set[UUID]:
    """Name all that may make a flow's definition another one, also what does not exist yet."""
    named = definition_of(flow).names(known.segments)
    by_name = {known.fields_by_name[name] for name in named.fields & known.fields_by_name.keys()}
    return named.lists | named.custom_fields | by_name
