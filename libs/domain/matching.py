"""From an event to the flows it may start, through an index, never by looking at every flow.

Triggers are filed by the most selective thing they ask: an event's type and one property with one
value (`list_id`, a field that becomes "hot"), else a property that must be there, else the type
alone. What a trigger asks beyond that is judged once per event for all that ask the same.
"""

import sys
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from libs.domain.contact import CustomField, Scalar
from libs.domain.flow import AnyTrigger, Flow, FlowStatus
from libs.domain.trigger import EventTest, IndexKey, Trigger, TriggerEvent, comparable
from libs.domain.triggers.contact_updated import ContactUpdatedTrigger

_SUBJECTS = ("list_id", "form_id")
"""Properties of events that name what they are about."""
_WITH_FIELDS = frozenset({"contact.updated"})
"""Events whose fields triggers ask for."""


class FlowTriggers(BaseModel):
    """What matching needs of a definition: the small part that is kept of every flow."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    flow_id: UUID
    workspace_id: UUID
    version: int
    status: FlowStatus
    triggers: list[AnyTrigger] = []

    @classmethod
    def of(cls, flow: Flow) -> Self:
        """Take it from the whole definition; of a flow that is not active nothing can start."""
        types = {one.api_name: one for one in flow.custom_fields.values()}
        active = flow.status is FlowStatus.ACTIVE
        return cls(
            flow_id=flow.flow_id,
            workspace_id=flow.workspace_id,
            version=flow.version,
            status=flow.status,
            triggers=[_typed(one, types) for one in flow.triggers] if active else [],
        )


def _typed(trigger: AnyTrigger, types: Mapping[str, CustomField]) -> AnyTrigger:
    """Write the type of the custom field it names into a trigger that does not say it."""
    if isinstance(trigger, ContactUpdatedTrigger) and trigger.field_type is None:
        definition = types.get(trigger.field or "")
        return trigger.model_copy(update={"field_type": definition.type if definition else None})
    return trigger


@dataclass(frozen=True, slots=True)
class Match:
    """A flow that an event starts, and the trigger that said so.

    Attributes:
        trigger_id: The trigger's id, or its place in the flow if it has none.
        judges_facts: Whether the trigger still has to be asked with what is known of the contact.
    """

    flow_id: UUID
    flow_version: int
    trigger_type: str
    trigger_id: str
    judges_facts: bool


def trigger_of(flow: Flow, trigger_id: str) -> Trigger | None:
    """Find the trigger of a flow that goes by this name in a `Match`."""
    named = (one for place, one in enumerate(flow.triggers) if _name(place, one) == trigger_id)
    return next(named, None)


def _name(place: int, trigger: Trigger) -> str:
    return trigger.trigger_id or str(place)


_Filed = dict[EventTest | None, dict[tuple[UUID, str], Match]]
"""What is filed under one key: by what else it asks, the triggers by flow and name."""


class TriggerIndex:
    """Every trigger of every active flow. Of the definitions themselves nothing is kept."""

    def __init__(self) -> None:
        self._workspaces: dict[UUID, dict[IndexKey, _Filed]] = {}
        self._where: dict[UUID, set[tuple[UUID, IndexKey, EventTest | None, str]]] = {}

    def put(self, flow: FlowTriggers) -> None:
        """Take in a definition; an earlier version of it is forgotten first."""
        self._forget(flow.flow_id)
        if flow.status is FlowStatus.ACTIVE:
            for place, trigger in enumerate(flow.triggers):
                self._file(flow, trigger, _name(place, trigger))

    def started_by(self, event: TriggerEvent) -> Iterator[Match]:
        """Find the flows an event starts, in the order they were put in.

        A flow comes once, with a trigger that the event is sure to fire; or else with each of its
        triggers that match, because any of them may turn out to fire.
        """
        found: dict[UUID, list[Match]] = {}
        for match in self._matching(event):
            of_flow = found.setdefault(match.flow_id, [])
            if not match.judges_facts:
                of_flow[:] = [match]
            elif all(one.judges_facts for one in of_flow):
                of_flow.append(match)
        for matches in found.values():
            yield from matches

    def _matching(self, event: TriggerEvent) -> Iterator[Match]:
        keys = self._workspaces.get(event.workspace_id)
        for key in _keys_of(event) if keys else ():
            for test, matches in (keys or {}).get(key, {}).items():
                if test is None or test.holds(event):
                    yield from matches.values()

    def _file(self, flow: FlowTriggers, trigger: AnyTrigger, name: str) -> None:
        key, test = trigger.index_key(), trigger.event_test()
        if key is None:
            return
        type_, name = sys.intern(trigger.type), sys.intern(name)
        match = Match(flow.flow_id, flow.version, type_, name, trigger.judges_facts)
        filed = self._workspaces.setdefault(flow.workspace_id, {}).setdefault(key, {})
        filed.setdefault(test, {})[flow.flow_id, name] = match
        self._where.setdefault(flow.flow_id, set()).add((flow.workspace_id, key, test, name))

    def _forget(self, flow_id: UUID) -> None:
        for workspace_id, key, test, name in self._where.pop(flow_id, ()):
            keys = self._workspaces[workspace_id]
            keys[key][test].pop((flow_id, name), None)
            if not keys[key][test]:
                del keys[key][test]
            if not keys[key]:
                del keys[key]
            if not keys:
                del self._workspaces[workspace_id]


def _keys_of(event: TriggerEvent) -> Iterator[IndexKey]:
    """Give every key under which a trigger may stand that this event fires."""
    yield IndexKey(event.type)
    for name in _SUBJECTS:
        if subject := event.data.get(name):
            yield IndexKey(event.type, name, str(subject))
    for where in ("fields", "custom_fields") if event.type in _WITH_FIELDS else ():
        for field, value in event.data.get(where, {}).items():
            path = f"{where}.{field}"
            yield IndexKey(event.type, path)
            yield from (IndexKey(event.type, path, form) for form in _forms(value))


def _forms(value: Scalar) -> Iterator[Hashable]:
    """Write a value in every form in which a trigger may ask for it."""
    if value is None or value == "":
        return
    yield comparable(value)
    if isinstance(value, bool):
        yield comparable(str(value))
