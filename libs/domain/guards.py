"""Guards: rules of a whole flow that keep contacts out, or drop them.

Who may enter, who may stay and who is excluded are one idea. A guard is judged at entry, before
each step, or at every event about the contact, or at several of these.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.contact import ContactSnapshot, CustomField
from libs.domain.predicates import CompiledSegments, Predicate, compile_rule
from libs.domain.rules import AudienceRules

GuardedAt = Literal["entry", "step", "event"]


class Guard(BaseModel):
    """A rule that decides who may be in a flow.

    Attributes:
        rule: What is judged.
        wants: True refuses or drops who does not match, also where the rule cannot be judged;
            False refuses or drops who matches.
        at: When it is judged: as a contact enters, before each step, at every event about it.
        reason: Why a member was dropped, as its timeline says it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    rule: AudienceRules
    wants: bool
    at: Annotated[tuple[GuardedAt, ...], Field(min_length=1)] = ("entry", "step", "event")
    reason: Annotated[str, Field(min_length=1, max_length=120)] = "disqualified"


class CompiledGuard:
    """A guard that can be asked."""

    def __init__(
        self, guard: Guard, custom_fields: Mapping[UUID, CustomField], segments: CompiledSegments
    ) -> None:
        self.guard = guard
        self._predicate: Predicate = compile_rule(guard.rule, custom_fields, segments)

    def refuses(self, contact: ContactSnapshot, now: datetime) -> bool:
        """Say whether this contact may not be in the flow."""
        outcome = self._predicate(contact, now).outcome
        return (outcome is True) is not self.guard.wants
