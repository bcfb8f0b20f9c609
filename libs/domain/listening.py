"""What a membership listens to, and what an event touches: the same keys, so that they meet.

Every fact that a rule may look at has a name (`field:city`, `custom:plan`, `list:<id>`,
`email.opened:<step>`), and a number: its key. A membership carries the keys of the facts that what
it waits for depends on; an event is turned into the keys of the facts it changes; only memberships
whose keys overlap the event's are looked at. Two names that give one number cost a look in vain.

Whoever adds a kind of rule names here what it reads, and in `keys_of` what changes it: a fact that
is forgotten is a wait that nothing ends.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from libs.domain.contact import EmailMetric, custom_field_key, email_key, field_key, list_key
from libs.domain.contact_changes import ContactChange
from libs.domain.predicates import CustomFields
from libs.domain.rules import (
    AnyRule,
    ContactField,
    CustomFieldCondition,
    EmailStep,
    ListMembership,
    nodes_of,
)

KEYING = 1
"""Raise it whenever a fact gets another name or number, or a rule reads more than before.

A membership whose keys another version made may listen to what that one called otherwise: events
look at it whatever they touch."""

_REMEMBERED = 65_536


class Engaged(NamedTuple):
    """Something became of a mail of the run."""

    step_id: str
    metric: EmailMetric


def reads_of(rule: AnyRule, custom_fields: CustomFields) -> Iterator[str]:
    """Name the facts that a rule looks at."""
    for node, _ in nodes_of(rule):
        match node:
            case ContactField(field=name):
                yield field_key(name)
            case CustomFieldCondition(field_definition_id=field_id):
                definition = custom_fields.get(field_id)
                yield custom_field_key(definition.api_name if definition else str(field_id))
            case ListMembership(list_id=list_id):
                yield list_key(list_id)
            case EmailStep(node_id=step_id, metric=metric):
                yield email_key(step_id, metric)
            case _:
                continue


def keys_of(change: ContactChange, engaged: Engaged | None = None) -> frozenset[int]:
    """Give the keys of an event: one for each field it names, and at most three more."""
    return hashed(_touched_by(change, engaged))


def hashed(names: Iterable[str]) -> frozenset[int]:
    """Turn names of facts into keys."""
    return frozenset(map(_hashed, names))


def _touched_by(change: ContactChange, engaged: Engaged | None) -> Iterator[str]:
    yield from map(field_key, change.fields)
    yield from map(custom_field_key, change.custom_fields)
    if change.creates or change.fields or change.custom_fields:
        yield field_key("updatedAt")
    if change.creates:
        yield field_key("createdAt")
    for list_id in filter(None, (change.joined, change.left)):
        yield list_key(list_id)
    if engaged is not None:
        yield email_key(engaged.step_id, engaged.metric)


@lru_cache(maxsize=_REMEMBERED)
def _hashed(name: str) -> int:
    digest = blake2b(name.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
