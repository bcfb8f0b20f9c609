"""What a membership listens to, and what an event touches: the same keys, so that they meet.

Every fact that a rule may look at has a name (`field:city`, `custom:plan`, `list:<id>`,
`email.opened:<step>`, `did:<metric>`), and a number: its key. A membership carries the keys of the
facts that what it waits for depends on; an event is turned into the keys of the facts it changes;
only memberships whose keys overlap the event's are looked at. Two names that give one number cost a
look in vain.

Whoever adds a kind of rule names here what it reads, and in `keys_of` what changes it: a fact that
is forgotten is a wait that nothing ends.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from libs.domain.activity import ActivityKind
from libs.domain.contact import EmailMetric, custom_field_key, email_key, field_key, list_key
from libs.domain.contact_changes import ContactChange
from libs.domain.predicates import CustomFields, kind_of
from libs.domain.rules import (
    Activity,
    AnyRule,
    ContactField,
    CustomFieldCondition,
    EmailStep,
    ListMembership,
    Segments,
    nodes_through,
)

KEYING = 2
"""Raise it whenever a fact gets another name or number, or a rule reads more than before.

A membership whose keys another version made may listen to what that one called otherwise: events
look at it whatever they touch."""

_REMEMBERED = 65_536
NO_RULES: Segments = {}


class Engaged(NamedTuple):
    """Something became of a mail of the run."""

    step_id: str
    metric: EmailMetric


def reads_of(
    rule: AnyRule, custom_fields: CustomFields, segments: Segments = NO_RULES
) -> Iterator[str]:
    """Name the facts that a rule looks at, itself and through the dynamic lists it asks about."""
    for node in nodes_through(rule, segments):
        match node:
            case ContactField(field=name):
                yield field_key(name)
            case CustomFieldCondition(field_definition_id=field_id):
                definition = custom_fields.get(field_id)
                yield custom_field_key(definition.api_name if definition else str(field_id))
            case ListMembership(list_id=list_id) if list_id not in segments:
                yield list_key(list_id)
            case EmailStep(step_id=step_id, metric=metric):
                yield email_key(step_id, metric)
            case Activity():
                yield kind_of(node).fact()
            case _:
                continue


def keys_of(
    change: ContactChange, engaged: Engaged | None = None, did: ActivityKind | None = None
) -> frozenset[int]:
    """Give the keys of an event: of each field it names, of what it did, and at most four more."""
    keys = set(map(_field, change.fields))
    keys.update(map(_custom_field, change.custom_fields))
    if keys or change.creates:
        keys.add(_field("updatedAt"))
    if change.creates:
        keys.add(_field("createdAt"))
    keys.update(_list(one) for one in (change.joined, change.left) if one)
    if engaged is not None:
        keys.add(_hashed(email_key(engaged.step_id, engaged.metric)))
    if did is not None:
        keys.update(map(_hashed, did.facts()))
    return frozenset(keys)


def hashed(names: Iterable[str]) -> frozenset[int]:
    """Turn names of facts into keys."""
    return frozenset(map(_hashed, names))


@lru_cache(maxsize=_REMEMBERED)
def _hashed(name: str) -> int:
    digest = blake2b(name.encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


@lru_cache(maxsize=_REMEMBERED)
def _field(name: str) -> int:
    return _hashed(field_key(name))


@lru_cache(maxsize=_REMEMBERED)
def _list(list_id: UUID) -> int:
    return _hashed(list_key(list_id))


@lru_cache(maxsize=_REMEMBERED)
def _custom_field(api_name: str) -> int:
    return _hashed(custom_field_key(api_name))
