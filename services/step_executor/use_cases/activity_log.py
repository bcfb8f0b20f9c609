"""What the contacts of a batch did: read as far as rules may ask for it, and added to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.contracts.step_commands import Enroll, Observe, StepCommand
from libs.domain.activity import ActivityKind, ActivityNeed, ActivityNeeds, PastActivity, merged
from libs.domain.flow import Flow
from libs.domain.membership import Membership
from services.step_executor.store import activity
from services.step_executor.store.activity import Done, PastOfContact
from services.step_executor.store.contacts import ContactKey

_AHEAD = timedelta(days=1)
"""No publisher's clock is so far ahead; what says it comes from later is of then."""


@dataclass(slots=True)
class ActivityLog:
    """What was read, and what was added.

    Attributes:
        past: What each contact did, as far as it was read.
        known: Events that were recorded before.
        is_short: Whether a walk has asked for what was not read.
    """

    past: dict[ContactKey, PastOfContact] = field(default_factory=dict)
    known: set[UUID] = field(default_factory=set)
    is_short: bool = False
    _added: dict[UUID, Done] = field(default_factory=dict)

    def add(self, done: Done) -> bool:
        """Add what a contact did; say whether it is news, as far as anybody can ask for it."""
        if done.event_key in self.known or done.event_key in self._added:
            return False
        self._added[done.event_key] = done
        past = self.past.get(done.contact)
        for kind in past or ():
            if past and kind.counts(done.kind):
                past[kind] = past[kind].and_one(done.at)
        return True

    def forget(self, contact: ContactKey) -> None:
        """Forget a contact who is gone; what is written of it is erased at the end."""
        self._added = {key: done for key, done in self._added.items() if done.contact != contact}
        if contact in self.past:
            self.past[contact] = dict.fromkeys(self.past[contact], PastActivity())

    async def save(self, tx: Transaction, gone: Iterable[ContactKey]) -> None:
        """Erase what those did who are gone, and write what was added."""
        await activity.forget_contacts(tx, gone)
        await activity.record(tx, list(self._added.values()))


def done_in(observe: Observe, now: datetime) -> Done | None:
    """Say what an event tells that its contact did, if it does."""
    kind = observe.event.done if observe.piece == 0 else None
    if kind is None:
        return None
    # The id of the first piece is the event's own key.
    at = min(observe.event.time, now + _AHEAD)
    return Done(observe.contact_key, kind, at, observe.id)


def needed_of(
    flows: Mapping[UUID, Flow],
    members: Iterable[Membership],
    commands: Sequence[StepCommand] = (),
    *,
    to_the_end: bool = False,
) -> dict[ContactKey, ActivityNeeds]:
    """Say what walks of these members, and of those whom the commands enroll, may ask for."""
    if not any(flow.asks_activity for flow in flows.values()):
        return {}
    needs: defaultdict[ContactKey, list[tuple[ActivityKind, ActivityNeed]]] = defaultdict(list)
    for one in members:
        if one.is_live and (flow := flows.get(one.flow_id)):
            asked = flow.activity_needs(one.step_id, to_the_end=to_the_end)
            needs[one.contact_key] += asked.items()
    for contact, flow_id in _enrolled(commands):
        if flow := flows.get(flow_id):
            needs[contact] += flow.activity_needs(None, to_the_end=to_the_end).items()
    return {contact: merged(asked) for contact, asked in needs.items() if asked}


def _enrolled(commands: Sequence[StepCommand]) -> Iterable[tuple[ContactKey, UUID]]:
    for one in commands:
        if isinstance(one, Enroll):
            yield one.contact_key, one.flow_id
        elif isinstance(one, Observe):
            yield from ((one.contact_key, start.flow_id) for start in one.starts)


async def read_log(
    tx: Transaction,
    needs: Mapping[ContactKey, ActivityNeeds],
    commands: Sequence[StepCommand],
    now: datetime,
) -> ActivityLog:
    """Read what is needed, and which events of those contacts are known already."""
    if not needs:
        return ActivityLog()
    done = [done_in(one, now) for one in commands if isinstance(one, Observe)]
    asked = [one for one in done if one is not None and one.contact in needs]
    return ActivityLog(await activity.read(tx, needs, now), await activity.known(tx, asked))
