"""delivery.commands: judge consent, write the mail, journal the delivery.

It is sent afterwards, by the loop; here everything is decided and fixed.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.delivery_commands import DeliveryCommand, Retry, SendEmail
from libs.contracts.flow_definitions import EmailContent
from libs.domain.contact import ContactSnapshot, may_be_mailed
from services.step_executor.deliveries.compose import CannotCompose, Links, compose
from services.step_executor.store import contacts, definitions, deliveries
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.deliveries import DeliveryKey, Planned
from services.step_executor.use_cases.finish import finished


async def handle_batch(
    tx: Transaction, batch: Sequence[Received[DeliveryCommand]], *, clock: Clock, links: Links
) -> list[Outgoing]:
    """Journal new deliveries and wake those whose time has come again.

    What cannot or must not be sent is over at once, and the membership goes on.
    """
    sends = [(one, one.message) for one in batch if isinstance(one.message, SendEmail)]
    snapshot = await contacts.read(tx, {command.contact_key for _, command in sends})
    emails = await definitions.emails(tx, {command.email_id for _, command in sends})
    now = clock.now()
    planned = [
        (received, _plan(received, command, (snapshot, emails), links, now))
        for received, command in sends
    ]
    await deliveries.plan(tx, [one for _, one in planned])
    again = [one.message for one in batch if isinstance(one.message, Retry)]
    await deliveries.try_again(tx, [DeliveryKey(one.membership_id, one.hop) for one in again])
    return [
        received.causes(finished(one.command, one.outcome, one.reason, now))
        for received, one in planned
        if one.outcome != "pending"
    ]


def _plan(
    received: Received[DeliveryCommand],
    command: SendEmail,
    known: tuple[dict[ContactKey, ContactSnapshot], dict[UUID, EmailContent]],
    links: Links,
    now: datetime,
) -> Planned:
    all_facts, emails = known
    snapshot, content = all_facts.get(command.contact_key), emails.get(command.email_id)
    partition = received.partition
    if snapshot is None:
        return Planned(command, partition, None, "skipped", "contact_not_found")
    if content is None:
        return Planned(command, partition, None, "failed", "email_not_found")
    if reason := may_be_mailed(snapshot.fields, operational=command.operational):
        return Planned(command, partition, None, "skipped", reason)
    try:
        rendered = compose(content, command, snapshot, links, now)
    except CannotCompose as error:
        return Planned(command, partition, None, "failed", f"cannot_compose: {error}")
    return Planned(command, partition, rendered, "pending")
