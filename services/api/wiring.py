"""What the API is made of."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from starlette.types import ASGIApp

from libs.chassis.exactly_once import seen_events
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.postgres.partitions import TimePartitioned
from libs.chassis.postgres.pool import transaction
from libs.chassis.process.run import ServiceBuilder, ServiceSpec, every
from libs.contracts import command_replies, topics
from libs.contracts import contact_commands as contact_commands_contract
from libs.contracts import contact_events as contact_events_contract
from libs.contracts import membership_events as membership_events_contract
from services.api.engine import app as engine
from services.api.engine import phrasing as engine_phrasing
from services.api.engine.documents import ENGINE
from services.api.handlers import contact_commands, contact_events, membership_events
from services.api.http.by_path import ByPath
from services.api.http.middleware import RequestMiddleware
from services.api.loops import drop_members
from services.api.loops.drop_aliases import drop_aliases
from services.api.loops.erase_deleted import erase_deleted
from services.api.loops.fold_counts import fold
from services.api.loops.make_pages import MakePages
from services.api.loops.republish_flows import republish_flows
from services.api.native import app as native
from services.api.native import phrasing as native_phrasing
from services.api.native.dialect import NATIVE
from services.api.settings import Settings
from services.api.store import keys
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.page_generator import PageGenerator
from services.api.use_cases.replies import Replies

_FOLD_SECONDS = 10.0
_ERASE_SECONDS = 5.0
_DROP_SECONDS = 60.0
DIALECTS = {dialect.name: dialect for dialect in (ENGINE, NATIVE)}
"""Every language flows are written in."""


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
        builder.pool, relay, builder.publisher, replies, builder.clock, settings, DIALECTS
    )
    builder.repeat(partial(republish_flows, app_context))
    await _first_key(app_context)
    builder.repeat(MakePages(app_context, PageGenerator(settings.page_generator_url)).run)
    builder.repeat(
        every(_DROP_SECONDS, partial(drop_aliases, builder.pool, settings.pages_keep_days))
    )
    builder.serve(app_of(app_context))


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
        "web_page": settings.pages_keep_days,
    }
    before = {"ended_membership": drop_members.may_drop}
    by_month = [
        TimePartitioned(name, "month", timedelta(days=days), may_drop=before.get(name))
        for name, days in kept.items()
    ]
    return [*by_month, seen_events.partitioned(settings.seen_events_keep_days)]


def app_of(app_context: AppContext) -> ASGIApp:
    """Put the dialects together: each is an application of its own."""
    return ByPath(
        {ENGINE.path: RequestMiddleware(engine.app_of(app_context), engine_phrasing.body_of)},
        otherwise=RequestMiddleware(native.app_of(app_context), native_phrasing.body_of),
    )


async def _first_key(app_context: AppContext) -> None:
    key, workspace_id = (
        app_context.settings.bootstrap_api_key,
        app_context.settings.bootstrap_workspace_id,
    )
    if key and workspace_id:
        async with transaction(app_context.pool) as tx:
            await keys.put(tx, key.get_secret_value(), workspace_id)


# Everything is found by an index. A plan that was made while a table was empty, and reads all of
# it, would be kept until PostgreSQL has looked at the table again, thousands of walks later.
_PLANNER = {"enable_seqscan": "off"}
SPEC = ServiceSpec("api", Path(__file__).parent / "migrations", topics.ALL, wire, _PLANNER)
