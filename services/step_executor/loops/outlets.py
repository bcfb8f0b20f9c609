"""The ways out: what the loop of a sender asks of a channel, and the two channels there are."""

import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from libs.domain.walk_events import Channel
from services.step_executor.deliveries.gate import Gate
from services.step_executor.deliveries.make_delivery import MakeDelivery
from services.step_executor.deliveries.target import Target
from services.step_executor.deliveries.webhook.make_webhook import MakeWebhook
from services.step_executor.deliveries.webhook.targets import WebhookTargets
from services.step_executor.settings import Settings
from services.step_executor.store.deliveries import Claimed, GivenBack, Job, Result
from services.step_executor.use_cases.claim_deliveries import ClaimDeliveries
from services.step_executor.use_cases.claim_webhooks import ClaimWebhooks

_LONGEST_WAIT_SECONDS = 5.0


class Outlet(Protocol):
    """One channel of deliveries.

    Attributes:
        is_brief: Whether each of its attempts has ended in some seconds, whatever happens.
        in_flight: How many are under way.
    """

    channel: Channel
    is_brief: bool
    in_flight: int

    def is_blocked(self, claimed: Claimed) -> bool:
        """Say whether not even a probe may be made to where this goes."""

    async def claim(self, token: UUID, unrecorded: int) -> list[Job]:
        """Claim what there is room for; results not recorded yet take room too."""

    async def make(self, job: Job) -> Result | GivenBack:
        """Make one."""

    def began(self, claimed: Claimed) -> None:
        """One is under way."""

    def ended(self, claimed: Claimed) -> None:
        """One is no more under way."""

    def let_waiting_go(self) -> None:
        """Begin none of those any more that still wait for a place."""


class MailOutlet:
    """Mails: all to one server.

    Some are claimed ahead, so that claims and results come in large batches, and wait here for a
    place among those that are made at once, each workspace in turn. None waits long: what it was
    judged on may change.
    """

    channel: Channel = "email"
    is_brief = False

    def __init__(
        self,
        claims: ClaimDeliveries,
        make: MakeDelivery,
        target: Target,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claims = claims
        self._make = make
        self._target = target
        self._clock = clock
        self._gate = Gate(settings.deliveries_at_once)
        self._claimed_at_once = settings.deliveries_at_once + settings.deliveries_claimed_ahead
        self.in_flight = 0

    def is_blocked(self, claimed: Claimed) -> bool:  # noqa: ARG002  (they all go there)
        """Say whether the server is down, and not to be probed now."""
        return not self._target.room(1, self.in_flight)

    async def claim(self, token: UUID, unrecorded: int) -> list[Job]:
        """Claim mails."""
        if self._target.is_down:
            self.let_waiting_go()
        room = self._claimed_at_once - self.in_flight - unrecorded
        room = self._target.room(room, self.in_flight)
        return await self._claims.claim(token, room) if room > 0 else []

    async def make(self, job: Job) -> Result | GivenBack:
        """Send one, when there is a place for it; give it back if that takes long."""
        came_at = self._clock()
        if not await self._gate.enter(job.claimed.workspace_id):
            return GivenBack(job.claimed.key, 0.0)
        try:
            if self._clock() - came_at > _LONGEST_WAIT_SECONDS:
                return GivenBack(job.claimed.key, 0.0)
            return await self._make.make(job)
        finally:
            self._gate.leave()

    def let_waiting_go(self) -> None:
        """Give back those that wait for a place."""
        self._gate.turn_away()

    def began(self, claimed: Claimed) -> None:  # noqa: ARG002  (they are only counted)
        """One is under way."""
        self.in_flight += 1

    def ended(self, claimed: Claimed) -> None:  # noqa: ARG002
        """One is no more under way."""
        self.in_flight -= 1


class WebhookOutlet:
    """Webhooks: each to a host of its own, and none of them waits for another's."""

    channel: Channel = "webhook"
    is_brief = True

    def __init__(
        self, claims: ClaimWebhooks, make: MakeWebhook, targets: WebhookTargets, at_once: int
    ) -> None:
        self._claims = claims
        self._make = make
        self._targets = targets
        self._at_once = at_once
        self.in_flight = 0

    def is_blocked(self, claimed: Claimed) -> bool:
        """Say whether its host is down, and not to be probed now."""
        return self._targets.is_blocked(claimed.lane)

    async def claim(self, token: UUID, unrecorded: int) -> list[Job]:
        """Claim webhooks where there is room."""
        room = self._at_once - self.in_flight - unrecorded
        return await self._claims.claim(token, room, self._targets) if room > 0 else []

    async def make(self, job: Job) -> Result | GivenBack:
        """Call."""
        return await self._make.make(job)

    def began(self, claimed: Claimed) -> None:
        """One is under way."""
        self.in_flight += 1
        self._targets.began(claimed.lane)

    def ended(self, claimed: Claimed) -> None:
        """One is no more under way."""
        self.in_flight -= 1
        self._targets.ended(claimed.lane)

    def let_waiting_go(self) -> None:
        """Do nothing: what is claimed is begun at once."""
