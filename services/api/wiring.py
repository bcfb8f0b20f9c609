"""What the API is made of."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from fastapi import Depends, FastAPI

from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.postgres.partitions import TimePartitioned
from libs.chassis.postgres.pool import transaction
from libs.chassis.process.run import ServiceBuilder, ServiceSpec, every
from libs.contracts import command_replies, topics
from libs.contracts import contact_commands as contact_commands_contract
from libs.contracts import contact_events as contact_events_contract
from libs.contracts import membership_events as membership_events_contract
from services.api.handlers import contact_commands, contact_events, membership_events
from services.api.http import problems
from services.api.http.bodies import readable
from services.api.http.guards import Guards
from services.api.loops.erase_deleted import erase_deleted
from services.api.loops.fold_counts import fold
from services.api.native import directory, emails, flow_steps, flows, memberships
from services.api.settings import Settings
from services.api.store import keys
from services.api.tracking import links
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.replies import Replies

_FOLD_SECONDS = 10.0
_ERASE_SECONDS = 5.0


async def wire(builder: ServiceBuilder) -> None:
    """Bind handlers to topics, and serve the dialects."""
    settings = cast("Settings", builder.settings)
    relay, replies = Relay("api", builder.pool, builder.publisher), Replies()
    builder.repeat(relay.run)
    builder.repeat(every(_FOLD_SECONDS, partial(fold, builder.pool)))
    builder.repeat(every(_ERASE_SECONDS, partial(erase_deleted, builder.pool)))
    builder.listen(topics.COMMAND_REPLIES, command_replies.ADAPTER, replies.receive)
    builder.partition(*partitioned(settings))
    _read(builder)
    app_context = AppContext(
        builder.pool, relay, builder.publisher, replies, builder.clock, settings
    )
    await _first_key(app_context)
    builder.serve(Guards(app_of(app_context)))


def _read(builder: ServiceBuilder) -> None:
    follow_contacts = partial(contact_events.handle_batch, known_lists=set())
    builder.read(topics.CONTACT_EVENTS, contact_events_contract.ADAPTER, follow_contacts)
    builder.read(
        topics.CONTACT_COMMANDS, contact_commands_contract.ADAPTER, contact_commands.handle_batch
    )
    builder.read(
        topics.MEMBERSHIP_EVENTS, membership_events_contract.ADAPTER, membership_events.handle_batch
    )


def partitioned(settings: Settings) -> list[TimePartitioned]:
    """Say what is dropped by age: a month at a time, and what was seen by the week."""
    kept = {
        "ended_membership": settings.ended_memberships_keep_days,
        "refusal": settings.refusals_keep_days,
        "deleted_contact": settings.deleted_contacts_keep_days,
        "form_submission": settings.form_submissions_keep_days,
    }
    by_month = [TimePartitioned(name, "month", timedelta(days=days)) for name, days in kept.items()]
    return [*by_month, seen_events.partitioned(settings.seen_events_keep_days)]


def app_of(app_context: AppContext) -> FastAPI:
    """Put the dialects together."""
    app = FastAPI(
        title="Millrace",
        version="1",
        description="Triggered flows.",
        dependencies=[Depends(readable)],
    )
    app.state.app_context = app_context
    problems.install(app)
    for dialect in (flows, flow_steps, memberships, emails, directory, links):
        app.include_router(dialect.router)
    return app


async def _first_key(app_context: AppContext) -> None:
    key, workspace_id = (
        app_context.settings.bootstrap_api_key,
        app_context.settings.bootstrap_workspace_id,
    )
    if key and workspace_id:
        async with transaction(app_context.pool) as tx:
            await keys.put(tx, key.get_secret_value(), workspace_id)


SPEC = ServiceSpec("api", Path(__file__).parent / "migrations", topics.ALL, wire)
