"""What a batch works on: read once as a set, changed in memory in order, written once as a set.

Several commands of one batch may concern the same membership; each sees what the one before it
left. Messages are collected in the order they were caused.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.exactly_once.dead_letters import reason_for
from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.exactly_once.records import Condemned, Outgoing, Received
from libs.chassis.outages import NotYet
from libs.chassis.postgres.pool import Transaction
from libs.domain.activity import UnreadActivity
from libs.domain.contact import ContactSnapshot
from libs.domain.contact_changes import ContactChange
from libs.domain.flow import Flow
from libs.domain.membership import Membership
from libs.domain.step_result import DeliverEmail, DeliverWebhook, TellOwner
from libs.domain.steps.unknown import UnknownStepType
from libs.domain.walk import WalkResult, walk
from libs.domain.walk_events import WalkEvent
from services.step_executor.store import (
    contacts,
    deliveries,
    ended_memberships,
    entries,
    memberships,
)
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.deliveries import DeliveryKey, Finished, Planned
from services.step_executor.store.memberships import NeededMemberships
from services.step_executor.use_cases.activity_log import ActivityLog
from services.step_executor.use_cases.messages import messages_of

FlowContact = tuple[UUID, ContactKey]
"""A flow, and a contact that is or was in it."""


class Unread(LookupError):  # noqa: N818  (a fact that must never be)
    """A batch asks for what it has not read, which must not be taken for nothing."""


@dataclass(slots=True)
class UnitOfWork:
    """The contacts, memberships and flows a batch is about, and what has become of them.

    Attributes:
        now: The clock's time when the batch began.
        contacts: What is known of the contacts.
        needed: Which live memberships of these contacts were read.
        memberships: These, and ended ones that were named, by id.
        flows: The flows the batch is about, in their newest version.
        history: The ended memberships of each flow and contact that the batch asks about.
        activity: What the contacts did, as far as it was read.
        proven: The mails under way that have been sent, if events of the batch are about them.
        archived: The deliveries whose results this batch has taken.
        date_fields: The fields of each workspace that the scheduler is told of.
        outgoing: The messages to publish, in order.
    """

    now: datetime
    contacts: dict[ContactKey, ContactSnapshot]
    needed: Mapping[ContactKey, NeededMemberships]
    memberships: dict[UUID, Membership]
    flows: dict[UUID, Flow]
    history: dict[FlowContact, set[UUID]] = field(default_factory=dict)
    activity: ActivityLog = field(default_factory=ActivityLog)
    proven: Mapping[DeliveryKey, Finished] = field(default_factory=dict)
    archived: set[DeliveryKey] = field(default_factory=set)
    date_fields: Mapping[UUID, frozenset[str]] = field(default_factory=dict)
    outgoing: list[Outgoing | Condemned] = field(default_factory=list)
    _found: dict[UUID, Membership] = field(default_factory=dict)
    _partitions: dict[UUID, int] = field(default_factory=dict)
    _changed_contacts: set[ContactKey] = field(default_factory=set)
    _gone: set[ContactKey] = field(default_factory=set)
    _planned: list[Planned] = field(default_factory=list)
    _held: set[DeliveryKey] = field(default_factory=set)
    _released: set[DeliveryKey] = field(default_factory=set)
    _settled: list[Finished] = field(default_factory=list)
    _entries: dict[UUID, Mapping[str, Any]] = field(default_factory=dict)
    _live: defaultdict[ContactKey, set[UUID]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        """Remember how everything was found."""
        self._found = dict(self.memberships)
        for membership in self.memberships.values():
            if membership.is_live:
                self._live[membership.contact_key].add(membership.membership_id)

    def flow(self, flow_id: UUID, min_version: int = 1) -> Flow:
        """Give a flow.

        Raises:
            NotYet: If its definition, or this version of it, has not arrived here.
        """
        flow = self.flows.get(flow_id)
        if flow is None or flow.version < min_version:
            raise NotYet(f"flow {flow_id} version {min_version} has not arrived")
        return flow

    def live_memberships_of(self, contact: ContactKey) -> list[Membership]:
        """Give the live memberships of a contact that were read."""
        live = self._live.get(contact)
        return [self.memberships[one] for one in sorted(live)] if live else []

    def live_membership(self, flow_id: UUID, contact: ContactKey) -> Membership | None:
        """Give the live membership of a contact in a flow, if there is one.

        Raises:
            Unread: If it was not looked for.
        """
        needed = self.needed.get(contact)
        if needed is None or not (needed.everything or flow_id in needed.flow_ids):
            raise Unread(f"contact {contact[1]} in flow {flow_id}")
        inside = (one for one in self.live_memberships_of(contact) if one.flow_id == flow_id)
        return next(inside, None)

    def known_contact(self, contact: ContactKey) -> ContactSnapshot | None:
        """Give what is known of a contact that is not gone.

        Raises:
            Unread: If it was not looked for.
        """
        known = self.contacts.get(contact)
        if known is None and contact not in self.needed:
            raise Unread(f"contact {contact[1]}")
        if known is None or known.deleted:
            return None
        past = self.activity.past.get(contact)
        return known if past is None else replace(known, activity=past)

    def contact_of(self, membership: Membership) -> ContactSnapshot:
        """Give what is known of a membership's contact, which may be nothing."""
        contact = membership.contact_key
        known = self.known_contact(contact)
        return known or ContactSnapshot(contact[1], activity=self.activity.past.get(contact))

    def know(self, contact: ContactKey, snapshot: ContactSnapshot) -> None:
        """Remember a contact as it is now."""
        self.contacts[contact] = snapshot
        self._changed_contacts.add(contact)
        if snapshot.deleted:
            self._gone.add(contact)
            self.activity.forget(contact)

    def walk(self, flow: Flow, membership: Membership, event: WalkEvent) -> WalkResult:
        """Move a membership as far as it can go; it is not taken in yet.

        Raises:
            NotYet: If it comes to a step that only a newer version of this program knows: during a
                deploy that one runs already, and takes this partition over.
            UnreadActivity: If it asks for what was not read: the batch is to be done once more.
        """
        try:
            return walk(flow, membership, self.contact_of(membership), event, self.now)
        except UnreadActivity:
            self.activity.is_short = True
            raise
        except UnknownStepType as error:
            raise NotYet(str(error)) from error

    def apply(self, partition: int, result: WalkResult) -> None:
        """Take in what became of a membership, which may be new, and say it."""
        if result.membership is self.memberships.get(result.membership.membership_id):
            return
        messages = list(messages_of(result))  # first: if one cannot be written, nothing has changed
        membership = result.membership
        membership_id = membership.membership_id
        self.memberships[membership_id] = membership
        self._partitions[membership_id] = partition
        live = self._live[membership.contact_key]
        (live.add if membership.is_live else live.discard)(membership_id)
        if not membership.is_live:
            pair = (membership.flow_id, membership.contact_key)
            self.history.setdefault(pair, set()).add(membership_id)
        self._planned += _planned(partition, result)
        self.enqueue(partition, *messages)

    def keep_entry(self, membership_id: UUID, entry: Mapping[str, Any]) -> None:
        """Keep what a form said by which a membership began, as long as it lives."""
        self._entries[membership_id] = entry

    @property
    def plans_deliveries(self) -> bool:
        """Whether a walk has asked for one."""
        return bool(self._planned)

    def hold_deliveries(self, membership: Membership) -> None:
        """Let nobody claim what is planned for a membership: its flow is paused."""
        self._released.discard(_delivery_of(membership))
        self._held.add(_delivery_of(membership))

    def release_deliveries(self, membership: Membership) -> None:
        """Let what was held be claimed again."""
        self._held.discard(_delivery_of(membership))
        self._released.add(_delivery_of(membership))

    def settle(self, finished: Finished) -> None:
        """Take a delivery out of the queue whose membership has walked on."""
        self._settled.append(finished)

    def enqueue(self, partition: int, *messages: Publishable) -> None:
        """Publish messages after the commit, caused by a record of this partition."""
        self.outgoing += [Outgoing(message, partition) for message in messages]

    def condemn(self, received: Received[Any], message: Publishable, error: Exception) -> None:
        """Put a part of a record aside, as a command that can be replayed by itself."""
        self.outgoing.append(received.condemns(message, reason_for(error)))

    async def save(self, tx: Transaction) -> None:
        """Write everything that changed."""
        await self._save_contacts(tx)
        changed = [self.memberships[one] for one in self._partitions]
        new = [one for one in changed if one.membership_id not in self._found]
        old = [one for one in changed if one.membership_id in self._found]
        await memberships.move(tx, list(self._moved(old)))
        await memberships.remove(tx, [self._found[one.membership_id] for one in self._ending(old)])
        await memberships.enter(tx, self._with_partition(one for one in new if one.is_live))
        ended = [*self._ending(old), *(one for one in new if not one.is_live)]
        await ended_memberships.add(tx, self._with_partition(ended))
        living = self._entries.keys() - {one.membership_id for one in ended}
        await entries.keep(tx, {one: self._entries[one] for one in living})
        await entries.erase(tx, [one.membership_id for one in self._ending(old)])
        await ended_memberships.note(tx, [one for one in old if self._had_ended(one)])
        # Last: what has just been written of those who are gone is erased as well.
        await ended_memberships.forget_contacts(tx, self._gone)
        await self._save_deliveries(tx, ended)

    async def _save_contacts(self, tx: Transaction) -> None:
        changed = {contact: self.contacts[contact] for contact in self._changed_contacts}
        partitions = {contact: self.needed[contact].partition for contact in changed}
        await contacts.write(tx, changed, partitions)
        await self.activity.save(tx, self._gone)

    async def _save_deliveries(self, tx: Transaction, ended: Iterable[Membership]) -> None:
        await deliveries.archive(tx, self._settled)
        self.archived.update(one.key for one in self._settled)
        await deliveries.plan(tx, [one for one in self._planned if self._stands_there(one)])
        await deliveries.withdraw(tx, self._unmade(ended))
        await deliveries.hold(tx, self._held)
        await deliveries.release(tx, self._released)

    def _unmade(self, ended: Iterable[Membership]) -> list[DeliveryKey]:
        """Name the deliveries that ended memberships stood at and whose result nobody has."""
        found = (self._found.get(one.membership_id) for one in ended)
        stood = (_delivery_of(one) for one in found if one and one.waiting_on == "delivery")
        return [key for key in stood if key not in self.archived]

    def _stands_there(self, planned: Planned) -> bool:
        """Say whether the membership has not moved on, or ended, within this very batch."""
        now = self.memberships[planned.membership.membership_id]
        return now.expects(planned.membership.hop, "delivery")

    def _had_ended(self, membership: Membership) -> bool:
        return not self._found[membership.membership_id].is_live

    def _moved(self, old: Iterable[Membership]) -> Iterator[tuple[Membership, Membership]]:
        for membership in old:
            if membership.is_live:
                yield self._found[membership.membership_id], membership

    def _ending(self, old: Iterable[Membership]) -> list[Membership]:
        return [one for one in old if not one.is_live and not self._had_ended(one)]

    def _with_partition(self, some: Iterable[Membership]) -> list[tuple[int, Membership]]:
        return [(self._partitions[one.membership_id], one) for one in some]


def _delivery_of(membership: Membership) -> DeliveryKey:
    """Name the delivery that a membership may be standing at."""
    return DeliveryKey(membership.membership_id, membership.hop)


def _planned(partition: int, result: WalkResult) -> Iterator[Planned]:
    """Give the deliveries a walk asked for, and what it asked of the owner before each."""
    asked: ContactChange | None = None
    for effect in result.effects:
        if isinstance(effect, DeliverEmail | DeliverWebhook):
            yield Planned(result.membership, partition, effect, asked)
        elif isinstance(effect, TellOwner) and (
            effect.change.fields or effect.change.custom_fields
        ):
            before = asked or ContactChange(effect.change.at)
            asked = ContactChange(
                effect.change.at,
                fields={**before.fields, **effect.change.fields},
                custom_fields={**before.custom_fields, **effect.change.custom_fields},
            )
