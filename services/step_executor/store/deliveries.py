"""The queue of deliveries: planned by walks, claimed and settled by senders, taken by owners."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.contact import ContactSnapshot, Scalar
from libs.domain.contact_changes import ContactChange, fold
from libs.domain.membership import Membership
from libs.domain.step_result import DeliverEmail, DeliveryEffect
from libs.domain.walk_events import Channel
from services.step_executor.store.rendered_mail import RenderedMail
from services.step_executor.store.rendered_webhook import RenderedWebhook

queries = queries_beside(__file__)

Outcome = Literal["sent", "skipped", "failed"]
_LONGEST_REASON = 1000
_CODE = re.compile(r"[2-5]\d\d(?!\S)|[A-Za-z][A-Za-z_, ]{0,79}(?=[:(]|$)")
"""A server's code, or our word: up to a colon, or to what an exception holds, or to the end."""


class DeliveryKey(NamedTuple):
    """The idempotency key of a delivery, fixed before the first attempt."""

    membership_id: UUID
    hop: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery that a walk asked for: the membership as it stands, and what is to be sent.

    Attributes:
        asked: What the same walk asked the contact's owner to change before. The answer may come
            after the delivery is made, which is made as if it had come.
    """

    membership: Membership
    partition: int
    effect: DeliveryEffect
    asked: ContactChange | None = None


class Lane(NamedTuple):
    """Deliveries that wait one behind the other: of a workspace, to a target."""

    workspace_id: UUID
    target: str = ""


Rendered = RenderedMail | RenderedWebhook


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that a sender of this process is at.

    Attributes:
        attempt: The number of this attempt, from 1.
        takeovers: How many senders have died while they were at it.
        ambiguous: How many attempts may or may not have reached the recipient.
        rendered: What was handed over before, if it may have arrived.
        email_id: What is sent, if it is a mail.
        target: The host and port it goes to, if it is a webhook.
    """

    key: DeliveryKey
    partition: int
    workspace_id: UUID
    contact_id: UUID
    flow_id: UUID
    step_id: str
    email_id: UUID | None
    operational: bool
    dynamic_context: dict[str, Scalar]
    planned_at: datetime
    attempt: int
    takeovers: int
    ambiguous: int
    rendered: Rendered | None
    channel: Channel = "email"
    target: str = ""

    @property
    def lane(self) -> Lane:
        """Where it waited."""
        return Lane(self.workspace_id, self.target)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a claimed delivery is judged by, as it is at the moment of sending.

    Attributes:
        wanted: Whether its membership still stands there.
        contact: The contact's standard and custom fields; None if it is not known any more.
        flow_status: The state of its flow; None if the flow is not known.
        email_version: The newest approved version of the mail; None if there is none.
        lag_seconds: How far its partition is behind; None if nobody has said so lately.
        waited_seconds: How long ago it was planned.
        flow_version: The newest version of its flow.
        entry: What the form said by which the contact entered, if one did.
    """

    wanted: bool
    contact: tuple[dict[str, Scalar], dict[str, Scalar]] | None
    flow_status: str | None
    email_version: int | None
    lag_seconds: float | None
    waited_seconds: float = 0.0
    flow_version: int | None = None
    entry: Mapping[str, Any] | None = None


class Job(NamedTuple):
    """A claimed delivery, the lease it was claimed under, and what it is judged by."""

    token: UUID
    claimed: Claimed
    circumstances: Circumstances


@dataclass(frozen=True, slots=True)
class Result:
    """How a delivery ended."""

    key: DeliveryKey
    partition: int
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A claimed delivery to be tried (again) later.

    Attributes:
        wait_seconds: How long from now, in real time.
        attempted: Whether it was tried at all.
        ambiguous: Whether this attempt may have reached the recipient.
        rendered: What may have arrived, to be handed over again as it is.
    """

    key: DeliveryKey
    wait_seconds: float
    attempted: bool = False
    ambiguous: bool = False
    rendered: Rendered | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A delivery that is over, and how it ended."""

    key: DeliveryKey
    workspace_id: UUID
    contact_id: UUID
    flow_id: UUID
    partition: int
    outcome: Outcome
    reason: str | None
    channel: Channel = "email"


async def plan(tx: Transaction, planned: Sequence[Planned]) -> None:
    """Write new deliveries."""
    if not planned:
        return
    memberships = [one.membership for one in planned]
    await queries.plan(
        tx,
        ids=[one.membership_id for one in memberships],
        hops=[one.hop for one in memberships],
        partitions=[one.partition for one in planned],
        workspaces=[one.workspace_id for one in memberships],
        contacts=[one.contact_id for one in memberships],
        flows=[one.flow_id for one in memberships],
        steps=[one.effect.step_id for one in planned],
        **_what_is_asked_for([one.effect for one in planned]),
        dynamic_contexts=[one.dynamic_context for one in memberships],
        asked=[_asked(one.asked) for one in planned],
    )


def _asked(change: ContactChange | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {"at": change.at, "fields": change.fields, "custom_fields": change.custom_fields}


def _contact(row: Any) -> tuple[dict[str, Scalar], dict[str, Scalar]] | None:
    """Give a contact's fields as they are, or will be once what was asked for has happened."""
    if not row["contact_known"]:
        return None
    fields, custom_fields, asked = row["fields"], row["custom_fields"], row["asked"]
    if asked is None:
        return fields, custom_fields
    change = ContactChange(
        datetime.fromisoformat(asked["at"]),
        fields=asked["fields"],
        custom_fields=asked["custom_fields"],
    )
    known = ContactSnapshot(row["contact_id"], fields, custom_fields, times=row["times"])
    after = fold(row["contact_id"], known, change) or known
    return dict(after.fields), dict(after.custom_fields)


async def withdraw(tx: Transaction, keys: Iterable[DeliveryKey]) -> None:
    """Take back what nobody has claimed of these deliveries: their memberships have ended."""
    if ended := list(keys):
        await queries.withdraw(tx, **_keys(ended))


async def hold(tx: Transaction, keys: Iterable[DeliveryKey]) -> None:
    """Keep what nobody has claimed of these deliveries until it is released."""
    if paused := list(keys):
        await queries.hold(tx, **_keys(paused))


async def release(tx: Transaction, keys: Iterable[DeliveryKey]) -> None:
    """Let what was held of these deliveries be claimed again."""
    if active := list(keys):
        await queries.release(tx, **_keys(active))


async def make_due(tx: Transaction, at_most: int) -> int:
    """Let some of what was to be tried again by now be claimed; give how many."""
    await queries.read_in_order(tx)
    made: int = await queries.make_due(tx, at_most=at_most)
    return made


async def waiting_workspaces(
    tx: Reads, after: UUID, at_most: int, channel: Channel = "email"
) -> list[UUID]:
    """Name some workspaces with deliveries of a channel to be made, in order of their ids."""
    rows = queries.waiting_workspaces(tx, channel=channel, after=after, at_most=at_most)
    return [row["workspace_id"] async for row in rows]


async def waiting_targets(tx: Reads, after: Sequence[Lane], at_most: int) -> list[Lane]:
    """Name some lanes of webhooks to be made: for each workspace those after the one given."""
    rows = queries.waiting_targets(tx, **_lanes(after, "afters"), at_most=at_most)
    return [Lane(row["workspace_id"], row["target"]) async for row in rows]


async def give_up(tx: Transaction, lanes: Sequence[Lane], seconds: float, at_most: int) -> int:
    """Fail webhooks that could have been made for so many seconds; give how many."""
    await queries.read_in_order(tx)
    failed: int = await queries.give_up(tx, **_lanes(lanes), seconds=seconds, at_most=at_most)
    return failed


async def claim(
    tx: Transaction, lease: UUID, lanes: Sequence[Lane], share: int, channel: Channel = "email"
) -> list[Claimed]:
    """Claim deliveries, at most `share` of each lane; nothing if the lease is gone."""
    await queries.read_in_order(tx)
    rows = queries.claim(tx, lease=lease, channel=channel, **_lanes(lanes), share=share)
    return [_claimed(row) async for row in rows]


async def circumstances(tx: Reads, claimed: Sequence[Claimed]) -> dict[DeliveryKey, Circumstances]:
    """Read what these deliveries are judged by."""
    if not claimed:
        return {}
    rows = queries.circumstances(tx, **_keys([one.key for one in claimed]))
    return {
        DeliveryKey(row["membership_id"], row["hop"]): Circumstances(
            wanted=row["wanted"],
            contact=_contact(row),
            flow_status=row["flow_status"],
            email_version=row["email_version"],
            lag_seconds=row["lag_seconds"],
            waited_seconds=row["waited_seconds"],
            flow_version=row["flow_version"],
            entry=row["entry"],
        )
        async for row in rows
    }


async def still_mine(tx: Reads, lease: UUID, keys: Sequence[DeliveryKey]) -> set[DeliveryKey]:
    """Name those that may still be handed over under this lease."""
    rows = queries.still_mine(tx, lease=lease, **_keys(keys))
    return {DeliveryKey(row["membership_id"], row["hop"]) async for row in rows}


async def give_back(tx: Transaction, lease: UUID, given: Sequence[GivenBack]) -> None:
    """Let deliveries be claimed again, later."""
    if not given:
        return
    await queries.give_back(
        tx,
        lease=lease,
        waits=[one.wait_seconds for one in given],
        unattempted=[int(not one.attempted) for one in given],
        ambiguous=[int(one.ambiguous) for one in given],
        **_kept([one.rendered for one in given]),
        **_keys([one.key for one in given]),
    )


async def give_back_others(tx: Transaction, lease: UUID, known: Sequence[DeliveryKey]) -> int:
    """Let what is claimed under a lease, but for these, be claimed again; give how many."""
    lost: int = await queries.give_back_others(tx, lease=lease, **_keys(known))
    return lost


async def settle(tx: Transaction, lease: UUID, results: Sequence[Result]) -> None:
    """Leave results for the owners of their partitions."""
    if results:
        await queries.settle(tx, lease=lease, **_results(results))


async def mine(tx: Transaction, lease: UUID, results: Sequence[Result]) -> list[Finished]:
    """Give the deliveries whose results count: those that are not ours any more are left out."""
    if not results:
        return []
    return [_finished(row) async for row in queries.mine(tx, lease=lease, **_results(results))]


async def is_any_settled(tx: Reads, partitions: Iterable[int]) -> bool:
    """Say whether senders have left results for these partitions."""
    found: bool = await queries.is_any_settled(tx, partitions=list(partitions))
    return found


async def settled(tx: Transaction, partitions: Sequence[int], at_most: int) -> list[Finished]:
    """Give some deliveries whose result senders have left."""
    await queries.read_in_order(tx)
    rows = queries.settled(tx, partitions=partitions, at_most=at_most)
    return [_finished(row) async for row in rows]


async def archive(tx: Transaction, finished: Sequence[Finished]) -> None:
    """Take deliveries out of the queue: their results were taken. Of reasons the code is kept."""
    if finished:
        codes = [_code(one.reason) for one in finished]
        await queries.archive(tx, **{**_results(finished), "reasons": codes})


async def put_aside(tx: Transaction, finished: Sequence[Finished], seconds: float) -> None:
    """Keep results that could not be taken; they are offered again after some seconds."""
    if finished:
        await queries.put_aside(tx, seconds=seconds, **_results(finished))


def _lanes(lanes: Sequence[Lane], targets: str = "targets") -> dict[str, list[Any]]:
    return {"workspaces": [one.workspace_id for one in lanes],
            targets: [one.target for one in lanes]}  # fmt: skip


def _what_is_asked_for(effects: Sequence[DeliveryEffect]) -> dict[str, list[Any]]:
    mails = [one if isinstance(one, DeliverEmail) else None for one in effects]
    return {
        "channels": ["email" if mail else "webhook" for mail in mails],
        "targets": ["" if isinstance(one, DeliverEmail) else one.target for one in effects],
        "emails": [mail and mail.email_id for mail in mails],
        "operationals": [mail is not None and mail.operational for mail in mails],
    }


def _kept(rendered: Sequence[Rendered | None]) -> dict[str, list[Any]]:
    mails = [one if isinstance(one, RenderedMail) else None for one in rendered]
    return {
        "senders": [mail and mail.sender for mail in mails],
        "recipients": [mail and mail.recipient for mail in mails],
        "messages": [
            one.payload if isinstance(one, RenderedWebhook) else one and one.message
            for one in rendered
        ],
    }


def _keys(keys: Sequence[DeliveryKey]) -> dict[str, list[Any]]:
    return {"ids": [key.membership_id for key in keys], "hops": [key.hop for key in keys]}


def _results(results: Sequence[Result | Finished]) -> dict[str, list[Any]]:
    return {
        "outcomes": [one.outcome for one in results],
        "reasons": [_storable(one.reason) for one in results],
        **_keys([one.key for one in results]),
    }


def _storable(reason: str | None) -> str | None:
    """Make a text of anyone's fit for a column: no surrogates, no NUL, not too long."""
    if reason is None:
        return None
    shown = reason[:_LONGEST_REASON].replace("\0", " ")
    return shown.encode("utf-8", "replace").decode()


def _code(reason: str | None) -> str | None:
    """Keep of a reason what is nobody's: the server's code, or our own first words."""
    if reason is None:
        return None
    found = _CODE.match(reason)
    return found[0].rstrip() if found else "other"


def _claimed(row: Any) -> Claimed:
    return Claimed(
        key=DeliveryKey(row["membership_id"], row["hop"]),
        partition=row["partition"],
        workspace_id=row["workspace_id"],
        contact_id=row["contact_id"],
        flow_id=row["flow_id"],
        step_id=row["step_id"],
        email_id=row["email_id"],
        operational=row["operational"],
        dynamic_context=row["dynamic_context"],
        planned_at=row["planned_at"],
        attempt=row["attempt"],
        takeovers=row["takeovers"],
        ambiguous=row["ambiguous"],
        rendered=_rendered(row),
        channel=row["channel"],
        target=row["target"],
    )


def _rendered(row: Any) -> Rendered | None:
    message = row["message"]
    if not message:
        return None
    if row["channel"] == "webhook":
        return RenderedWebhook(message)
    return RenderedMail(row["sender"], row["recipient"], message)


def _finished(row: Any) -> Finished:
    return Finished(
        key=DeliveryKey(row["membership_id"], row["hop"]),
        workspace_id=row["workspace_id"],
        contact_id=row["contact_id"],
        flow_id=row["flow_id"],
        partition=row["partition"],
        outcome=row["outcome"],
        reason=row["reason"],
        channel=row["channel"],
    )
