"""An engagement proves that its mail was sent, also where the sender did not come to record it.

A sender that dies between the end of a mail and its own record would leave it to another one, which
would send it again. Whoever has opened it meanwhile has said what the sender could not.
"""

from collections.abc import Sequence

from libs.chassis.exactly_once.records import Received
from libs.chassis.outages import is_outage
from libs.chassis.telemetry.logs import logger
from libs.contracts.contact_events import EmailEvent
from libs.contracts.step_commands import Observe, StepCommand
from libs.domain.membership import Membership
from services.step_executor.store.deliveries import DeliveryKey
from services.step_executor.use_cases.resume import finish_delivery
from services.step_executor.use_cases.unit_of_work import UnitOfWork

_PROVING = frozenset({"email.delivered", "email.opened", "email.clicked", "email.unsubscribed"})
_log = logger(__name__)


def proven_by(commands: Sequence[StepCommand], found: Sequence[Membership]) -> set[DeliveryKey]:
    """Name the mails under way that some events are about."""
    events = [
        one.event
        for one in commands
        if isinstance(one, Observe) and isinstance(one.event, EmailEvent)
    ]
    if not events:
        return set()
    members = {membership.membership_id: membership for membership in found}
    pairs = ((event, members.get(event.data.membership_id)) for event in events
             if event.data.membership_id)  # fmt: skip
    return {
        DeliveryKey(member.membership_id, member.hop)
        for event, member in pairs
        if member is not None and _proves(event, member)
    }


def _proves(event: EmailEvent, membership: Membership) -> bool:
    """Say whether an event shows that the mail was sent at which a membership stands.

    Who comes to a step once more gets another mail: our own Message-ID tells them apart. By its
    step alone a mail is known only where none of that step was sent before.
    """
    if event.type not in _PROVING or membership.waiting_on != "delivery":
        return False
    named, ours = event.data.message_id or "", f"{membership.membership_id}."
    if ours in named:
        return f"{ours}{membership.hop}@" in named
    step_id = event.data.step_id
    return step_id == membership.step_id and "sent" not in membership.engagement.get(
        step_id or "", {}
    )


def settle_proven(unit: UnitOfWork, received: Received[Observe], event: EmailEvent) -> None:
    """Walk on a membership whose mail has been sent, as this event shows.

    Where that fails, all stays as it is: its sender's own result comes by the usual way.
    """
    membership_id = event.data.membership_id
    membership = unit.memberships.get(membership_id) if membership_id else None
    if membership is None or membership.contact_key != received.message.contact_key:
        return
    finished = unit.proven.get(DeliveryKey(membership.membership_id, membership.hop))
    if finished is None or not _proves(event, membership) or finished.flow_id not in unit.flows:
        return
    try:
        finish_delivery(unit, finished)
    except Exception as error:
        if is_outage(error) or unit.activity.is_short:
            raise
        _log.exception("delivery.not_settled", membership_id=str(membership.membership_id))
    else:
        unit.settle(finished)
