"""A field begins to matter: tell the scheduler what a partition's contacts hold in it, by pages."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.message import derived_id
from libs.contracts.step_commands import RestateDates, StepCommand
from libs.contracts.timer_commands import RememberDates
from libs.domain.contact import CREATED_AT, SINCE, ContactSnapshot, custom_field_key, field_key
from libs.domain.occurrences import date_in
from services.step_executor.store import contacts
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.memberships import NeededMemberships
from services.step_executor.use_cases.needed_memberships import need
from services.step_executor.use_cases.unit_of_work import UnitOfWork


@dataclass(slots=True)
class ContactPages:
    """The contacts each command of a batch looks at: all together no more than one page.

    A command that is given no page comes again in a later batch.

    Attributes:
        left: How many contacts there is room for.
        by_command: The contacts of each command, and whether there are more.
    """

    left: int
    by_command: dict[UUID, tuple[list[UUID], bool]] = field(default_factory=dict)

    async def read(
        self,
        tx: Transaction,
        commands: Iterable[StepCommand],
        needed: dict[ContactKey, NeededMemberships],
    ) -> None:
        """Read as many contacts as there is room for, and add them to what the batch must read."""
        for command in commands:
            if not isinstance(command, RestateDates):
                continue
            if not self.left:
                return
            at_most, place = self.left, (command.partition, command.workspace_id, command.after)
            found = await contacts.page(tx, place, at_most)
            self.left -= len(found)
            self.by_command[command.id] = found, len(found) == at_most
            for contact_id in found:
                need(needed, (command.workspace_id, contact_id), command.partition)


def restate_dates(unit: UnitOfWork, received: Received[RestateDates], pages: ContactPages) -> None:
    """Tell of one page of contacts, and say so if there are more.

    A change that comes before this command may be told twice, and one that comes after it is told
    by itself (tell_dates.py): the fields were noted before any partition was given this command.
    """
    command = received.message
    if command.id not in pages.by_command:
        unit.enqueue(received.partition, _again(command, command.after))
        return
    found, has_more = pages.by_command[command.id]
    for contact_id in found:
        known = unit.known_contact((command.workspace_id, contact_id))
        if known is not None and (told := _told(unit, command, known)):
            unit.enqueue(received.partition, told)
    if has_more:
        unit.enqueue(received.partition, _again(command, found[-1]))


def _told(unit: UnitOfWork, command: RestateDates, known: ContactSnapshot) -> RememberDates | None:
    date = date_in(known, command.field)
    if date is None:
        return None
    return RememberDates(
        id=derived_id("restated", command.id, known.contact_id),
        time=unit.now,
        workspace_id=command.workspace_id,
        contact_id=known.contact_id,
        dates={command.field: date.text},
        set_at=min(_set_at(known, command.field), unit.now),
    )


def _set_at(known: ContactSnapshot, name: str) -> datetime:
    """Say when a field was set, as far as that is known: no later than this."""
    key = field_key(name) if name == CREATED_AT else custom_field_key(name)
    micros = known.times.get(key, known.times.get(SINCE, 0))
    return datetime.fromtimestamp(micros / 1_000_000, UTC)


def _again(command: RestateDates, after: UUID) -> RestateDates:
    return command.model_copy(update={"id": derived_id(command.id, after), "after": after})
