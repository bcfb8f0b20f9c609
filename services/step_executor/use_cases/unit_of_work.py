"""What a batch works on: read once as a set, changed in memory in order, written once as a set.

Several commands of one batch may concern the same membership; each sees what the one before it
left. Messages are collected in the order they were caused.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.exactly_once.outbox import Publishable
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.outages import NotYet
from libs.chassis.postgres.pool import Transaction
from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow
from libs.domain.membership import Membership
from libs.domain.walk import WalkResult
from services.step_executor.store import contacts, memberships
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.memberships import NewMembership
from services.step_executor.use_cases.messages import messages_of


@dataclass(slots=True)
class UnitOfWork:
    """The contacts, memberships and flows a batch is about, and what has become of them."""

    now: datetime
    snapshot: dict[ContactKey, ContactSnapshot]
    members: dict[UUID, Membership]
    flows: dict[UUID, Flow]
    runs: dict[tuple[UUID, UUID], int]
    pages: dict[UUID, list[UUID]] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    _found: dict[UUID, Membership] = field(default_factory=dict)
    _new: dict[UUID, NewMembership] = field(default_factory=dict)
    _changed_contacts: set[ContactKey] = field(default_factory=set)
    _live: defaultdict[ContactKey, set[UUID]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        """Remember how everything was found."""
        self._found = dict(self.members)
        for member in self.members.values():
            if member.is_live:
                self._live[member.contact_key].add(member.membership_id)

    def flow(self, flow_id: UUID, min_version: int) -> Flow:
        """Give a flow.

        Raises:
            NotYet: If its definition, or this version of it, has not arrived here.
        """
        flow = self.flows.get(flow_id)
        if flow is None or flow.version < min_version:
            raise NotYet(f"flow {flow_id} version {min_version} has not arrived")
        return flow

    def live_memberships_of(self, contact: ContactKey) -> list[Membership]:
        """Give the live memberships of a contact."""
        return [self.members[one] for one in sorted(self._live[contact])]

    def live_membership(self, flow_id: UUID, contact: ContactKey) -> Membership | None:
        """Give the live membership of a contact in a flow, if there is one."""
        inside = (one for one in self.live_memberships_of(contact) if one.flow_id == flow_id)
        return next(inside, None)

    def facts_of(self, contact: ContactKey) -> ContactSnapshot:
        """Give what is known of a contact, which may be nothing."""
        return self.snapshot.get(contact) or ContactSnapshot(contact[1])

    def know(self, contact: ContactKey, snapshot: ContactSnapshot) -> None:
        """Remember a contact as it is now."""
        self.snapshot[contact] = snapshot
        self._changed_contacts.add(contact)

    def forget(self, contact: ContactKey) -> None:
        """Forget a contact."""
        self.snapshot.pop(contact, None)
        self._changed_contacts.add(contact)

    def enter(self, received: Received[Any], source_id: str, result: WalkResult) -> None:
        """Take in a new membership."""
        new = NewMembership(result.membership, received.partition, source_id)
        self._new[result.membership.membership_id] = new
        pair = (result.membership.flow_id, result.membership.contact_id)
        self.runs[pair] = self.runs.get(pair, 0) + 1
        self.apply(received, result)

    def apply(self, received: Received[Any], result: WalkResult) -> None:
        """Take in what became of a membership, and say it."""
        member = result.membership
        self.members[member.membership_id] = member
        if member.membership_id in self._new:
            new = self._new[member.membership_id]
            self._new[member.membership_id] = replace(new, membership=member)
        live = self._live[member.contact_key]
        (live.add if member.is_live else live.discard)(member.membership_id)
        self.enqueue(received, *messages_of(result))

    def enqueue(self, received: Received[Any], *messages: Publishable) -> None:
        """Publish messages after the commit."""
        self.outgoing += received.causes_all(messages)

    async def save(self, tx: Transaction) -> None:
        """Write everything that changed."""
        changed = {contact: self.snapshot.get(contact) for contact in self._changed_contacts}
        await contacts.write(tx, changed)
        await memberships.move(tx, list(self._moved()))
        await memberships.enter(tx, list(self._new.values()))

    def _moved(self) -> Iterable[tuple[Membership, Membership]]:
        for membership_id, found in self._found.items():
            if self.members[membership_id] is not found:
                yield found, self.members[membership_id]
