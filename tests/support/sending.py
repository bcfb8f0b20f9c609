"""Sending processes inside a test: what a sender is made of, each part at hand."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publisher import MessageTooLarge
from libs.chassis.exactly_once.reader import Reader, Work
from libs.chassis.postgres.pool import Pool, transaction
from libs.chassis.sealing import webhook_tokens
from libs.domain.webhook_url import Allowed
from services.step_executor.deliveries.confirmations import Confirmations
from services.step_executor.deliveries.email.email_contents import EmailContents
from services.step_executor.deliveries.lease import Lease, Watch
from services.step_executor.deliveries.make_delivery import MakeDelivery
from services.step_executor.deliveries.smtp.mail_server import MailServer
from services.step_executor.deliveries.target import Target
from services.step_executor.deliveries.webhook.caller import Caller
from services.step_executor.deliveries.webhook.hooks import Hooks
from services.step_executor.deliveries.webhook.make_webhook import MakeWebhook
from services.step_executor.deliveries.webhook.pinned_network import PinnedNetwork
from services.step_executor.deliveries.webhook.secret_names import MountedSecrets
from services.step_executor.deliveries.webhook.targets import WebhookTargets
from services.step_executor.deliveries.webhook.tokens import Tokens
from services.step_executor.loops.be_a_sender import BeASender
from services.step_executor.loops.keep_lease import KeepLease
from services.step_executor.loops.outlets import MailOutlet, WebhookOutlet
from services.step_executor.loops.send_deliveries import SendDeliveries
from services.step_executor.settings import Settings
from services.step_executor.store.deliveries import GivenBack, Job, Result
from services.step_executor.use_cases.claim_deliveries import ClaimDeliveries
from services.step_executor.use_cases.claim_webhooks import ClaimWebhooks
from services.step_executor.use_cases.keep_results import KeepResults
from tests.support.executor import Executor

LEASE_SECONDS = 8.0


class HandClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


class OwnerFake:
    """A reader that owns partitions until another process does: then it is fenced.

    What it would have to say of `unspeakable` contacts is too large. That undoes the work, and
    costs it the partitions until it is `arm`ed again.
    """

    def __init__(self, pool: Pool, partitions: Iterable[int]) -> None:
        self._partitions = list(partitions)
        self.arm()
        self.fenced = False
        self.unspeakable: set[UUID] = set()
        self.said: list[Any] = []
        self._pool = pool
        self._lock = asyncio.Lock()

    def arm(self) -> None:
        self.armed = {number: OwnedPartition(number, 0, 1) for number in self._partitions}

    async def run_as_owner(self, work: Work, partitions: Iterable[int] | None = None) -> bool:
        wanted = self.armed.keys() if partitions is None else self.armed.keys() & partitions
        async with self._lock:
            if self.fenced or not wanted:
                self.armed = {} if self.fenced else self.armed
                return False
            async with transaction(self._pool) as tx:
                said = await work(tx, [self.armed[one] for one in sorted(wanted)])
                if self.unspeakable & {getattr(one.message, "contact_id", None) for one in said}:
                    self.armed = {}
                    raise MessageTooLarge("more than its topic takes")
        self.said += [one.message for one in said]
        return True

    @property
    def as_reader(self) -> Reader[Any]:
        return cast("Reader[Any]", self)


def settings(port: int, **changes: Any) -> Settings:
    whole = {
        "DATABASE_URL": "postgresql://localhost/x", "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "public_url": "https://flows.example", "signing_key": "0123456789abcdef",
        "smtp_host": "127.0.0.1", "smtp_port": port, "deliveries_claimed_ahead": 0, **changes,
    }  # fmt: skip
    return Settings.model_validate(whole)


class Sender:
    """One sending process. It has the partitions of `owner`, or none."""

    def __init__(
        self, executor: Executor, port: int, owner: OwnerFake | None = None, **changes: Any
    ) -> None:
        self.settings = settings(port, **changes)
        self.clock = HandClock()
        self.target_clock = HandClock()
        self.lease = Lease(LEASE_SECONDS, self.clock)
        self.watch = Watch(LEASE_SECONDS, self.clock)
        self.keeping = KeepLease(executor.pool, self.lease, self.watch)
        self.target = Target(self.target_clock)
        self.server = MailServer(self.settings)
        self.confirmations = Confirmations(executor.pool, self.lease)
        self.make = MakeDelivery(
            self.server,
            EmailContents(executor.pool),
            self.confirmations,
            self.target,
            self.settings,
        )
        reader = owner.as_reader if owner else None
        self.results = KeepResults(executor.pool, reader, executor.recording)
        self.claims = ClaimDeliveries(executor.pool)
        mails = MailOutlet(self.claims, self.make, self.target, self.settings, self.target_clock)
        self.sending = SendDeliveries(
            self.claims,
            (mails, self._webhooks(executor.pool)),
            self.results,
            self.lease,
            self.settings.marketing_max_lag_seconds,
        )
        self.whole = BeASender(self.keeping, self.sending, (self.server, self.caller))

    def _webhooks(self, pool: Pool) -> WebhookOutlet:
        """Webhooks go where `names` says that a host is, and else to loopback."""
        settings = self.settings
        allowed = Allowed.of(settings.webhook_allowed.split(","))
        self.names: dict[str, list[str]] = {}
        self.network = PinnedNetwork(self._resolve, allowed)
        self.caller = Caller(self.network, settings.webhook_timeout_seconds)
        self.targets = WebhookTargets(
            settings.webhooks_per_host, settings.webhooks_at_once, self.target_clock
        )
        folder = settings.webhook_secrets_folder
        secrets = MountedSecrets(folder) if folder else None
        tokens = Tokens(webhook_tokens(settings.signing_key.get_secret_value()), secrets)
        self.make_webhook = MakeWebhook(
            self.caller, Hooks(pool), self.confirmations, self.targets, allowed, tokens
        )
        self.webhook_claims = ClaimWebhooks(pool)
        return WebhookOutlet(
            self.webhook_claims, self.make_webhook, self.targets, settings.webhooks_at_once
        )

    async def _resolve(self, host: str, _: int) -> list[str]:
        return self.names.get(host, ["127.0.0.1"])

    async def claim(self, at_most: int = 64) -> list[Job]:
        """Claim; a lease is begun or kept before."""
        await self.keeping.beat()
        return await self.claims.claim(self.lease.token, at_most)

    async def attempt(self, job: Job) -> Result | GivenBack:
        """Make an attempt, and keep what became of it."""
        outcome = await self.make.make(job)
        self.results.add(job.token, outcome)
        return outcome

    async def send_one(self) -> Result | GivenBack:
        """Claim one delivery, make an attempt, record it."""
        (job,) = await self.claim(1)
        outcome = await self.attempt(job)
        await self.results.record()
        return outcome

    async def look_for(self, seconds: float) -> None:
        """Watch the others for so long, a few times per lease."""
        passed = 0.0
        while passed <= seconds:
            await self.keeping.watch()
            self.clock.pass_by(LEASE_SECONDS / 4)
            passed += LEASE_SECONDS / 4
        await self.keeping.watch()


@asynccontextmanager
async def running(*senders: Sender) -> AsyncIterator[None]:
    """Let senders run as their processes do, then tell them to stop and wait until they have."""
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for sender in senders:
            group.create_task(sender.whole.run(stopping))
        try:
            yield
        finally:
            stopping.set()
