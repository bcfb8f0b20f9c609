"""From an event to the flows it may start, through an index, never by looking at every flow."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from libs.domain.flow import AnyTrigger, Flow, FlowStatus
from libs.domain.trigger import IndexKey, Trigger, TriggerEvent

_SUBJECT_KEYS = ("list_id",)
"""Event data that triggers are filed under, beside the event's type."""

_NONE: Mapping[UUID, "list[Match]"] = {}


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
        """Take it from the whole definition."""
        return cls(
            flow_id=flow.flow_id,
            workspace_id=flow.workspace_id,
            version=flow.version,
            status=flow.status,
            triggers=flow.triggers,
        )


@dataclass(frozen=True, slots=True)
class Match:
    """A flow that an event starts, and the trigger that said so."""

    flow_id: UUID
    flow_version: int
    trigger: Trigger
    trigger_type: str


class TriggerIndex:
    """Every trigger of every active flow, filed by workspace, event type and subject."""

    def __init__(self) -> None:
        self._filed: defaultdict[tuple[UUID, IndexKey], dict[UUID, list[Match]]] = defaultdict(dict)
        self._where: dict[UUID, list[tuple[UUID, IndexKey]]] = {}

    def put(self, flow: FlowTriggers) -> None:
        """Take in a definition; an earlier version of it is forgotten first."""
        self._forget(flow.flow_id)
        if flow.status is FlowStatus.ACTIVE:
            for trigger in flow.triggers:
                self._file(flow, trigger, trigger.type)

    def started_by(self, event: TriggerEvent) -> Iterator[Match]:
        """Find the flows an event starts, each once, in the order they were put in."""
        found: dict[UUID, Match] = {}
        for key in _keys_of(event):
            for flow_id, matches in self._filed.get((event.workspace_id, key), _NONE).items():
                for match in matches:
                    if flow_id not in found and match.trigger.matches(event):
                        found[flow_id] = match
        yield from found.values()

    def _file(self, flow: FlowTriggers, trigger: Trigger, trigger_type: str) -> None:
        if key := trigger.index_key():
            place = (flow.workspace_id, key)
            match = Match(flow.flow_id, flow.version, trigger, trigger_type)
            self._filed[place].setdefault(flow.flow_id, []).append(match)
            self._where.setdefault(flow.flow_id, []).append(place)

    def _forget(self, flow_id: UUID) -> None:
        for place in self._where.pop(flow_id, []):
            self._filed[place].pop(flow_id, None)
            if not self._filed[place]:
                del self._filed[place]


def _keys_of(event: TriggerEvent) -> Iterator[IndexKey]:
    yield IndexKey(event.type)
    for name in _SUBJECT_KEYS:
        if subject := event.data.get(name):
            yield IndexKey(event.type, str(subject))
