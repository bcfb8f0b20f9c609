"""What the step executor is made of: the part that walks, and the part that sends."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.postgres.partitions import TimePartitioned
from libs.chassis.postgres.pool import Pool
from libs.chassis.process.builder import ServiceBuilder, ServiceSpec
from libs.chassis.process.loops import every
from libs.chassis.sealing import webhook_tokens
from libs.contracts import flow_definitions as flow_definitions_contract
from libs.contracts import step_commands as step_commands_contract
from libs.contracts import topics
from libs.contracts.step_commands import StepCommand
from libs.domain.webhook_url import Allowed
from services.step_executor.deliveries.confirmations import Confirmations
from services.step_executor.deliveries.email.email_contents import EmailContents
from services.step_executor.deliveries.lease import Lease
from services.step_executor.deliveries.make_delivery import MakeDelivery
from services.step_executor.deliveries.smtp.mail_server import MailServer
from services.step_executor.deliveries.target import Target
from services.step_executor.deliveries.webhook.caller import Caller
from services.step_executor.deliveries.webhook.hooks import Hooks
from services.step_executor.deliveries.webhook.make_webhook import MakeWebhook
from services.step_executor.deliveries.webhook.pinned_network import PinnedNetwork, Resolver
from services.step_executor.deliveries.webhook.secret_names import MountedSecrets
from services.step_executor.deliveries.webhook.targets import WebhookTargets
from services.step_executor.deliveries.webhook.tokens import Tokens
from services.step_executor.handlers import flow_definitions, step_commands
from services.step_executor.loops import forget_contacts
from services.step_executor.loops.be_a_sender import BeASender
from services.step_executor.loops.keep_lease import KeepLease
from services.step_executor.loops.outlets import MailOutlet, WebhookOutlet
from services.step_executor.loops.report_lag import ReportLag
from services.step_executor.loops.send_deliveries import SendDeliveries
from services.step_executor.loops.take_results import TakeResults
from services.step_executor.loops.watch_memberships import WatchMemberships
from services.step_executor.loops.watch_waits import WatchWaits
from services.step_executor.settings import Settings
from services.step_executor.store import activity
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.use_cases.claim_deliveries import ClaimDeliveries
from services.step_executor.use_cases.claim_webhooks import ClaimWebhooks
from services.step_executor.use_cases.keep_results import KeepResults
from services.step_executor.use_cases.record_results import RecordResults

_WATCH_SECONDS = 1.0
_FORGET_SECONDS = 60.0
_LAG_SECONDS = 5.0
_TAKE_SECONDS = 0.25


@dataclass(slots=True)
class Parts:
    """What the walking and the sending part share.

    Attributes:
        reader: The reader of step.commands; None where this process only sends.
        planned: Set when deliveries were planned here: the sender of this process looks at once.
    """

    flows: KnownFlows
    record: RecordResults
    reader: Reader[StepCommand] | None = None
    planned: asyncio.Event = field(default_factory=asyncio.Event)


async def wire(builder: ServiceBuilder) -> None:
    """Bind handlers to topics, and let deliveries be made."""
    settings = cast("Settings", builder.settings)
    flows = KnownFlows()
    parts = Parts(flows, RecordResults(builder.pool, flows, builder.clock))
    builder.partition(*partitioned(settings))
    if settings.executor_role != "send":
        parts.reader = _walk(builder, settings, parts)
        _look_after(builder, settings, parts.reader)
        builder.repeat(every(_WATCH_SECONDS, WatchWaits(builder.pool, builder.clock, flows).look))
    if settings.executor_role != "walk":
        _send(builder, settings, parts)


def _walk(builder: ServiceBuilder, settings: Settings, parts: Parts) -> Reader[StepCommand]:
    reader = builder.read(
        topics.STEP_COMMANDS,
        step_commands_contract.ADAPTER,
        partial(
            step_commands.handle_batch,
            clock=builder.clock,
            flows=parts.flows,
            members_per_page=settings.members_per_page,
            planned=parts.planned.set,
        ),
    )
    builder.read(
        topics.FLOW_DEFINITIONS,
        flow_definitions_contract.ADAPTER,
        partial(flow_definitions.handle_batch, clock=builder.clock, partitions=settings.partitions),
    )
    taking = TakeResults(reader, parts.record)
    builder.repeat(every(_TAKE_SECONDS, taking.take))
    return reader


def _look_after(builder: ServiceBuilder, settings: Settings, reader: Reader[StepCommand]) -> None:
    watching = WatchMemberships(builder.pool, builder.clock)
    builder.repeat(every(_WATCH_SECONDS, watching.look))
    builder.repeat(every(_LAG_SECONDS, ReportLag(builder.pool, reader).report))
    forgetting = partial(forget_contacts.forget, builder.pool, settings.deleted_contacts_keep_days)
    builder.repeat(every(_FORGET_SECONDS, forgetting))


def _send(builder: ServiceBuilder, settings: Settings, parts: Parts) -> None:
    lease, claims = Lease(settings.sender_lease_seconds), ClaimDeliveries(builder.pool)
    confirmations = Confirmations(builder.pool, lease)
    target, server = Target(), MailServer(settings)
    make = MakeDelivery(server, EmailContents(builder.pool), confirmations, target, settings)
    mails = MailOutlet(claims, make, target, settings)
    resolver = Resolver(2 * settings.webhooks_at_once)
    caller = Caller(
        PinnedNetwork(resolver.resolve, Allowed.of(settings.webhook_allowed.split(","))),
        settings.webhook_timeout_seconds,
    )
    webhooks = webhook_outlet(builder.pool, caller, confirmations, settings)
    results = KeepResults(builder.pool, parts.reader, parts.record)
    sending = SendDeliveries(
        claims, (mails, webhooks), results, lease, settings.marketing_max_lag_seconds, parts.planned
    )
    keeping = KeepLease(builder.pool, lease)
    builder.repeat(BeASender(keeping, sending, (server, caller, resolver)).run)


def webhook_outlet(
    pool: Pool, caller: Caller, confirmations: Confirmations, settings: Settings
) -> WebhookOutlet:
    """Make the way out of webhooks. No workspace takes more than half of it."""
    at_once, folder = settings.webhooks_at_once, settings.webhook_secrets_folder
    targets = WebhookTargets(settings.webhooks_per_host, max(1, at_once // 2))
    sealer = webhook_tokens(settings.signing_key.get_secret_value())
    make = MakeWebhook(
        caller,
        Hooks(pool),
        confirmations,
        targets,
        Allowed.of(settings.webhook_allowed.split(",")),
        Tokens(sealer, MountedSecrets(folder) if folder else None),
    )
    return WebhookOutlet(ClaimWebhooks(pool), make, targets, at_once)


def partitioned(settings: Settings) -> list[TimePartitioned]:
    """Say which tables are partitioned by time, and how long their rows are kept."""
    return [
        TimePartitioned(
            "ended_membership", "month", timedelta(days=settings.ended_memberships_keep_days)
        ),
        TimePartitioned(
            "ended_delivery", "day", timedelta(days=settings.ended_deliveries_keep_days)
        ),
        TimePartitioned(
            "activity",
            "month",
            timedelta(days=settings.activity_keep_days),
            may_drop=activity.fold,
        ),
    ]


# Plans are made once for each connection, and while tables are empty PostgreSQL would plan to read
# them from end to end, and keep to that until their statistics are renewed.
_PLANNER = {"enable_seqscan": "off"}
SPEC = ServiceSpec(
    "step_executor", Path(__file__).parent / "migrations", topics.ALL, wire, _PLANNER
)
