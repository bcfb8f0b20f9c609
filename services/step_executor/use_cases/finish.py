"""What a delivery says when it is over, or when it must be tried again later."""

from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from libs.contracts.message import derived_id
from libs.contracts.step_commands import FinishDelivery
from libs.contracts.timer_commands import SetTimer
from services.step_executor.store.deliveries import Claimed


class OfMembership(Protocol):
    """Anything that names a delivery: whose it is, and of which hop."""

    @property
    def workspace_id(self) -> UUID:
        """The tenant."""
        ...

    @property
    def contact_id(self) -> UUID:
        """The recipient."""
        ...

    @property
    def membership_id(self) -> UUID:
        """The run."""
        ...

    @property
    def hop(self) -> int:
        """The hop that waits for it."""
        ...


def finished(
    delivery: OfMembership,
    outcome: Literal["sent", "skipped", "failed"],
    reason: str | None,
    now: datetime,
) -> FinishDelivery:
    """Say that a delivery is over."""
    return FinishDelivery(
        id=derived_id("finished", delivery.membership_id, delivery.hop),
        time=now,
        workspace_id=delivery.workspace_id,
        contact_id=delivery.contact_id,
        membership_id=delivery.membership_id,
        hop=delivery.hop,
        outcome=outcome,
        reason=reason,
    )


def retry_at(claimed: Claimed, due_at: datetime, now: datetime) -> SetTimer:
    """Ask to be woken when it is time to try again."""
    key = claimed.key
    return SetTimer(
        id=derived_id("retry_at", key.membership_id, key.hop, claimed.attempt),
        time=now,
        workspace_id=claimed.workspace_id,
        contact_id=claimed.contact_id,
        membership_id=key.membership_id,
        hop=key.hop,
        due_at=due_at,
        purpose="retry_delivery",
    )
