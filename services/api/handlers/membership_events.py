"""membership.events: read models of memberships, timelines, refusals and counts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.membership_events import (
    EnrollmentRefused,
    MembershipChanged,
    MembershipEvent,
    MembershipState,
    PageRequested,
)
from services.api.store import counts, deleted_contacts, memberships, refusals, web_pages
from services.api.store.counts import CountChange
from services.api.store.directory import ContactKey
from services.api.store.memberships import Known, Update
from services.api.use_cases.erasure import impersonal_update

_FIRST = 1
"""The number of a timeline's first entry."""


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[MembershipEvent]]
) -> list[Outgoing]:
    """Fold a batch into the read models, one statement for each table."""
    messages = [received.message for received in batch]
    changed = [one for one in messages if isinstance(one, MembershipChanged)]
    refused = [one for one in messages if isinstance(one, EnrollmentRefused)]
    gone = await deleted_contacts.among(tx, {message.contact_key for message in messages})
    updates = updates_of(changed, await _known(tx, changed))
    await memberships.write(tx, _without_persons(updates, gone))
    await refusals.add(tx, _nameless(refused, gone))
    await counts.add(tx, count_changes(updates))
    if len(messages) > len(changed) + len(refused):
        asked = [one for one in messages if isinstance(one, PageRequested)]
        await web_pages.ask(tx, [one for one in asked if one.contact_key not in gone])
    return []


async def _known(tx: Transaction, changed: Sequence[MembershipChanged]) -> dict[UUID, Known]:
    begun: set[UUID] = set()
    continued: set[UUID] = set()
    for one in changed:
        (begun if _begins(one) else continued).add(one.membership.membership_id)
    return await memberships.known(tx, begun, continued - begun)


def _begins(message: MembershipChanged) -> bool:
    return bool(message.timeline) and message.timeline[0].sequence == _FIRST


def updates_of(changed: Iterable[MembershipChanged], known: Mapping[UUID, Known]) -> list[Update]:
    """Say what each membership is now and what its timeline gained.

    Repeats change nothing, and neither does what goes on after a beginning that is not kept.
    """
    updates: dict[UUID, Update] = {}
    for message in changed:
        state = message.membership
        update = updates.get(state.membership_id)
        before = update.state if update else known.get(state.membership_id)
        if not _tells_something(message, before):
            continue
        if update is None:
            known_before = known.get(state.membership_id)
            update = Update(message.workspace_id, state, [], known_before)
            updates[state.membership_id] = update
        if before is None or state.sequence > before.sequence:
            update.entries.extend(message.timeline)
        update.state = state
    return list(updates.values())


def _tells_something(message: MembershipChanged, before: MembershipState | Known | None) -> bool:
    if before is None:
        # What goes on though nothing is known of it was dropped here by age, and stays so.
        return not message.timeline or _begins(message)
    return _is_newer(message.membership, before)


def _is_newer(state: MembershipState, before: MembershipState | Known) -> bool:
    return (state.sequence, state.updated_at) > (before.sequence, before.updated_at)


def count_changes(updates: Iterable[Update]) -> dict[UUID, CountChange]:
    """Say by how much each flow's counts change: by what each membership was and is."""
    changes: defaultdict[UUID, CountChange] = defaultdict(CountChange)
    for update in updates:
        before, counted_as = update.known, update.counted_as
        if before is None:
            changes[update.state.flow_id].enters(update.state.entered_at)
        elif before.counted_as == counted_as:
            continue
        else:
            changes[update.state.flow_id].count(before.counted_as, -1)
        changes[update.state.flow_id].count(counted_as, 1)
    unchanged = CountChange()
    return {flow_id: change for flow_id, change in changes.items() if change != unchanged}


def _without_persons(updates: Sequence[Update], gone: set[ContactKey]) -> Sequence[Update]:
    """Leave out what is said of contacts that were deleted meanwhile."""
    if not gone:
        return updates
    return [
        impersonal_update(one) if (one.workspace_id, one.state.contact_id) in gone else one
        for one in updates
    ]


def _nameless(
    refused: Sequence[EnrollmentRefused], gone: set[ContactKey]
) -> list[EnrollmentRefused]:
    return [
        one.model_copy(update={"source_id": ""}) if one.contact_key in gone else one
        for one in refused
    ]
