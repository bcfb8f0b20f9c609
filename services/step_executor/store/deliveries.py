"""The journal of deliveries: written before and after every attempt."""

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.delivery_commands import SendEmail

queries = queries_beside(__file__)


class DeliveryKey(NamedTuple):
    """The idempotency key of a delivery, fixed before the first attempt."""

    membership_id: UUID
    hop: int


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready to be handed over: the same bytes at every attempt."""

    sender: str
    recipient: str
    message: bytes


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery to journal: a rendered mail, or the reason why there is none."""

    command: SendEmail
    partition: int
    rendered: RenderedMail | None
    outcome: Literal["pending", "skipped", "failed"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process is about to send."""

    key: DeliveryKey
    partition: int
    workspace_id: UUID
    contact_id: UUID
    attempt: int
    rendered: RenderedMail

    @property
    def membership_id(self) -> UUID:
        """The run it is of."""
        return self.key.membership_id

    @property
    def hop(self) -> int:
        """The hop that waits for it."""
        return self.key.hop


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: sent, failed for good, or to be tried again."""

    claimed: Claimed
    outcome: Literal["sent", "failed", "retry"]
    reason: str | None = None


async def plan(tx: Transaction, planned: Sequence[Planned]) -> None:
    """Journal new deliveries."""
    if planned:
        await queries.plan(tx, rows=[_row(one) for one in planned])


def _row(one: Planned) -> dict[str, object]:
    command, rendered = one.command, one.rendered
    return {
        "membership_id": str(command.membership_id),
        "hop": command.hop,
        "partition": one.partition,
        "workspace_id": str(command.workspace_id),
        "contact_id": str(command.contact_id),
        "flow_id": str(command.flow_id),
        "step_id": command.step_id,
        "email_id": str(command.email_id),
        "status": one.outcome,
        "sender": rendered.sender if rendered else None,
        "recipient": rendered.recipient if rendered else None,
        "message": base64.b64encode(rendered.message).decode() if rendered else None,
        "reason": one.reason,
    }


async def try_again(tx: Transaction, keys: Sequence[DeliveryKey]) -> None:
    """Make deliveries pending again that were put off."""
    if keys:
        membership_ids, hops = zip(*keys, strict=True)
        await queries.try_again(tx, membership_ids=membership_ids, hops=hops)


async def claim(
    tx: Transaction, owned: Sequence[OwnedPartition], busy: Collection[DeliveryKey], at_most: int
) -> tuple[list[Claimed], int]:
    """Claim some deliveries of these partitions, not those this process is busy with.

    Returns the claimed ones, and how many of them a former owner may have sent already: a crash
    between the mail server's answer and our record of it leaves that open.
    """
    found = queries.under_way(
        tx,
        partitions=[one.partition for one in owned],
        epochs=[one.epoch for one in owned],
        membership_ids=[key.membership_id for key in busy],
        hops=[key.hop for key in busy],
        at_most=at_most,
    )
    wanted = [(DeliveryKey(row["membership_id"], row["hop"]), row["status"]) async for row in found]
    if not wanted:
        return [], 0
    rows = queries.claim(
        tx,
        membership_ids=[key.membership_id for key, _ in wanted],
        hops=[key.hop for key, _ in wanted],
        partitions=[one.partition for one in owned],
        epochs=[one.epoch for one in owned],
    )
    claimed = [
        Claimed(
            DeliveryKey(row["membership_id"], row["hop"]),
            row["partition"],
            row["workspace_id"],
            row["contact_id"],
            row["attempt"],
            RenderedMail(row["sender"], row["recipient"], row["message"]),
        )
        async for row in rows
    ]
    return claimed, sum(status == "sending" for _, status in wanted)


async def finish(tx: Transaction, ended: Sequence[Ended]) -> set[DeliveryKey]:
    """Write down how attempts ended; name those that were still ours to end."""
    if not ended:
        return set()
    rows = queries.finish(
        tx,
        membership_ids=[one.claimed.key.membership_id for one in ended],
        hops=[one.claimed.key.hop for one in ended],
        attempts=[one.claimed.attempt for one in ended],
        statuses=[one.outcome for one in ended],
        reasons=[one.reason for one in ended],
    )
    return {DeliveryKey(row["membership_id"], row["hop"]) async for row in rows}
