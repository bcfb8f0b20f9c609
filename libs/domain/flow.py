"""The whole definition: triggers, steps and guards, in the engine's language."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from libs.domain.activity import ActivityNeeds, merged
from libs.domain.contact import ContactSnapshot, CustomField
from libs.domain.guards import CompiledGuard, Guard, GuardedAt
from libs.domain.listening import hashed, reads_of
from libs.domain.needs import asked_by, on_the_way
from libs.domain.predicates import CompiledSegments, CustomFields, Predicate, compile_rule
from libs.domain.rules import (
    MAX_NODES,
    AnyRule,
    AudienceRules,
    CustomFieldCondition,
    ListMembership,
    Segments,
    nodes_of,
    nodes_through,
)
from libs.domain.step import Step
from libs.domain.steps.change_lists import AddToListStep, RemoveFromListStep
from libs.domain.steps.condition_check import ConditionCheckStep
from libs.domain.steps.create_tent import CreateTentStep
from libs.domain.steps.drop_from_flow import DropFromFlowStep
from libs.domain.steps.send_email import SendEmailStep
from libs.domain.steps.send_webhook import SendWebhookStep
from libs.domain.steps.unknown import UnknownStep
from libs.domain.steps.update_contact import UpdateContactStep
from libs.domain.steps.wait import WaitStep
from libs.domain.triggers.added_to_static_list import AddedToStaticListTrigger
from libs.domain.triggers.contact_created import ContactCreatedTrigger
from libs.domain.triggers.contact_updated import ContactUpdatedTrigger
from libs.domain.triggers.date_based import DateBasedTrigger, date_triggers
from libs.domain.triggers.form_submitted import FormSubmittedTrigger
from libs.domain.triggers.removed_from_static_list import RemovedFromStaticListTrigger
from libs.domain.triggers.unknown import UnknownTrigger

_UNKNOWN = "unknown"


def _tag(value: object, types: frozenset[str]) -> str | None:
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    if not isinstance(kind, str):
        return None
    return kind if kind in types else _UNKNOWN


AnyTrigger = Annotated[
    Annotated[AddedToStaticListTrigger, Tag("added_to_static_list")]
    | Annotated[RemovedFromStaticListTrigger, Tag("removed_from_static_list")]
    | Annotated[ContactCreatedTrigger, Tag("contact_created")]
    | Annotated[ContactUpdatedTrigger, Tag("contact_updated")]
    | Annotated[FormSubmittedTrigger, Tag("form_submitted")]
    | Annotated[DateBasedTrigger, Tag("date_based")]
    | Annotated[UnknownTrigger, Tag(_UNKNOWN)],
    Discriminator(lambda value: _tag(value, TRIGGER_TYPES)),
]
AnyStep = Annotated[
    Annotated[SendEmailStep, Tag("send_email")]
    | Annotated[SendWebhookStep, Tag("send_webhook")]
    | Annotated[WaitStep, Tag("wait")]
    | Annotated[ConditionCheckStep, Tag("condition_check")]
    | Annotated[DropFromFlowStep, Tag("drop_from_flow")]
    | Annotated[UpdateContactStep, Tag("update_contact")]
    | Annotated[AddToListStep, Tag("add_to_list")]
    | Annotated[RemoveFromListStep, Tag("remove_from_list")]
    | Annotated[CreateTentStep, Tag("create_tent")]
    | Annotated[UnknownStep, Tag(_UNKNOWN)],
    Discriminator(lambda value: _tag(value, STEP_TYPES)),
]


def _types_in(union: Any) -> frozenset[str]:
    """Name the types a union knows: the tags of its members."""
    members = get_args(get_args(union)[0])
    return frozenset(tag.tag for member in members for tag in get_args(member)[1:]) - {_UNKNOWN}


TRIGGER_TYPES = _types_in(AnyTrigger)
STEP_TYPES = _types_in(AnyStep)
"""Every type of step this version of the program knows."""


class FlowStatus(StrEnum):
    """Where a flow is in its life. `deleted` is only ever seen by the services."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"
    DELETED = "deleted"


_END_REASONS = {FlowStatus.ARCHIVED: "flow_archived", FlowStatus.DELETED: "flow_deleted"}


class Names(NamedTuple):
    """What a definition names: lists and custom fields by their ids, fields by their names."""

    lists: set[UUID]
    custom_fields: set[UUID]
    fields: set[str]


class Definition(BaseModel):
    """A flow in the engine's language: what every dialect's document is compiled to."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    triggers: list[AnyTrigger] = []
    steps: list[AnyStep] = []
    guards: list[Guard] = []
    reentry: Literal["always", "once"] = "always"

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        for name, ids in (
            ("step_id", [step.step_id for step in self.steps]),
            ("trigger_id", [one.trigger_id for one in self.triggers if one.trigger_id]),
        ):
            if twice := duplicates(ids):
                raise ValueError(f"duplicate {name} {', '.join(twice)}")
        return self

    def rules(self) -> Iterator[AnyRule]:
        """Give every rule tree, of steps and of guards."""
        yield from (rule for step in self.steps if (rule := step.rule()) is not None)
        yield from (guard.rule for guard in self.guards)

    def names(self, segments: Segments) -> "Names":
        """Say what rules and triggers look at, through these dynamic lists too."""
        nodes = [node for rule in self.rules() for node in nodes_through(rule, segments)]
        fields = (node for node in nodes if isinstance(node, CustomFieldCondition))
        return Names(
            {node.list_id for node in nodes if isinstance(node, ListMembership)},
            {node.field_definition_id for node in fields},
            {name for trigger in self.triggers for name in trigger.fields()},
        )

    def segments_named(self, known: Segments) -> dict[UUID, AnyRule | None]:
        """Give every dynamic list, of those that are known, that rules look at, through others too.

        All of them together hold at most as many groups and conditions as one tree may. What is
        beyond that is None: it cannot be judged. They come in the order in which they are known.
        """
        named, room = self.names(known).lists, MAX_NODES
        given: dict[UUID, AnyRule | None] = {}
        for list_id in (one for one in known if one in named):
            rule = known[list_id]
            room -= sum(1 for _ in nodes_of(rule)) if rule else 0
            given[list_id] = rule if room >= 0 else None
        return given

    def custom_fields_named(
        self, known: CustomFields, segments: Segments
    ) -> dict[UUID, CustomField]:
        """Give every custom field, of those that are known, that a rule or a trigger looks at."""
        named = self.names(segments)
        return {
            field_id: field
            for field_id, field in known.items()
            if field_id in named.custom_fields or field.api_name in named.fields
        }

    def emails_named(self) -> set[UUID]:
        """Name every mail that a step may send."""
        return {email_id for step in self.steps for email_id in step.emails()}

    def templates_named(self) -> set[str]:
        """Name every template of which a step may make a page."""
        return {template_id for step in self.steps for template_id in step.templates()}


class Flow(Definition):
    """A definition as it travels: whose it is, which version of it this is, and its status.

    `custom_fields` holds the definition of every custom field the rules name, and `segments` the
    rules of every dynamic list they ask about, itself or through another, so that no service has to
    ask another one for it. A list whose rules are None cannot be judged.
    """

    flow_id: UUID
    workspace_id: UUID
    version: Annotated[int, Field(ge=1)]
    status: FlowStatus
    custom_fields: Mapping[UUID, CustomField] = {}
    segments: Annotated[
        Mapping[UUID, AudienceRules | None], Field(exclude_if=lambda one: not one)
    ] = {}

    @cached_property
    def steps_by_id(self) -> dict[str, Step]:
        """Every step by its id."""
        return {step.step_id: step for step in self.steps}

    @cached_property
    def _segments(self) -> CompiledSegments:
        return CompiledSegments(self.segments, self.custom_fields)

    @cached_property
    def conditions(self) -> dict[str, Predicate]:
        """The compiled rule of every step that has one, by step id."""
        return {
            step.step_id: compile_rule(rule, self.custom_fields, self._segments)
            for step in self.steps
            if (rule := step.rule()) is not None
        }

    @cached_property
    def _listening(self) -> dict[str | None, tuple[int, ...]]:
        """What is listened to at each step where it is more than everywhere (None)."""
        inlined = self.custom_fields, self.segments
        guarded = [guard.rule for guard in self.guards if "event" in guard.at]
        everywhere = hashed(key for rule in guarded for key in reads_of(rule, *inlined))
        here = {step.step_id: hashed(step.listens_to(*inlined)) for step in self.steps}
        found: dict[str | None, frozenset[int]] = {None: everywhere}
        found |= {step_id: everywhere | keys for step_id, keys in here.items() if keys}
        return {step_id: tuple(sorted(keys)) for step_id, keys in found.items()}

    def listens_at(self, step_id: str | None) -> tuple[int, ...]:
        """Give the keys of the facts by which an event may concern who stands at a step."""
        return self._listening.get(step_id) or self._listening[None]

    @cached_property
    def waits_for_events(self) -> dict[str, Step]:
        """Every step at which events may move a membership, by its id."""
        return {
            step_id: step
            for step_id, step in self.steps_by_id.items()
            if any(True for _ in step.listens_to(self.custom_fields, self.segments))
        }

    @cached_property
    def asks_activity(self) -> bool:
        """Whether any rule asks what the contact did."""
        return any(True for _ in asked_by(self.rules(), self.segments))

    @cached_property
    def _activity_needs(self) -> dict[tuple[str | None, bool], ActivityNeeds]:
        return {}

    def activity_needs(self, step_id: str | None, *, to_the_end: bool = False) -> ActivityNeeds:
        """Say what must be read of a contact's activity before a walk from a step.

        Args:
            step_id: Where it begins; None where a contact enters.
            to_the_end: Whether it may be the first of several.
        """
        if not self.asks_activity:
            return {}
        place = step_id or self.first_step_id, to_the_end
        if place not in self._activity_needs:
            rules = on_the_way(place[0], self.steps_by_id, to_the_end=to_the_end)
            guards = (guard.rule for guard in self.guards)
            self._activity_needs[place] = merged(asked_by((*rules, *guards), self.segments))
        return self._activity_needs[place]

    @cached_property
    def durations(self) -> dict[str, timedelta]:
        """How long each step holds at which time alone decides, by its id."""
        return {
            step_id: step.duration
            for step_id, step in self.steps_by_id.items()
            if step.duration is not None
        }

    @cached_property
    def _guards(self) -> dict[GuardedAt, list[CompiledGuard]]:
        inlined = self.custom_fields, self._segments
        compiled = [CompiledGuard(guard, *inlined) for guard in self.guards]
        return {at: [one for one in compiled if at in one.guard.at] for at in get_args(GuardedAt)}

    @cached_property
    def date_triggers(self) -> dict[str, DateBasedTrigger]:
        """Its date triggers by id."""
        return date_triggers(self.triggers)

    @property
    def end_reason(self) -> str | None:
        """Say why nobody may be in this flow any more, if it is over: archived or deleted."""
        return _END_REASONS.get(self.status)

    @property
    def first_step_id(self) -> str | None:
        """Where members start: the first step of the list."""
        return self.steps[0].step_id if self.steps else None

    def refuses(self, at: GuardedAt, contact: ContactSnapshot, now: datetime) -> str | None:
        """Say why a contact may not be in this flow, by the first guard that refuses it."""
        for one in self._guards[at]:
            if one.refuses(contact, now):
                return one.guard.reason
        return None


def duplicates(ids: Iterable[str]) -> list[str]:
    """Name every id that stands more than once."""
    return sorted(one for one, times in Counter(ids).items() if times > 1)
