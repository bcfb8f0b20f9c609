"""Activate, pause, archive."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from libs.chassis.exactly_once.relay import Unit
from libs.chassis.telemetry.logs import logger
from libs.domain.flow import FlowStatus
from libs.domain.inventory import Inventory
from libs.domain.readiness import Readiness, readiness
from services.api.store import directory, emails, page_templates
from services.api.store.flows import Change, StoredFlow
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contact_lists import rules_of
from services.api.use_cases.dialects import FlowKey
from services.api.use_cases.flows import lock, save, wrong_status
from services.api.use_cases.problems import not_ready
from services.api.use_cases.publishing import definition_of

_log = logger(__name__)


async def activate(app_context: AppContext, key: FlowKey) -> StoredFlow:
    """Let a flow enroll and move contacts, if it is complete.

    When this returns, events published from then on are matched: the services have said that they
    work by the new definition, or it is durable and they will when they are back.

    Raises:
        Problem: If it is not a draft or paused, or something is missing.
    """

    async def check(unit: Unit, flow: StoredFlow) -> None:
        _check_status(flow, {FlowStatus.DRAFT, FlowStatus.PAUSED}, "activated")
        _check_ready(await ready(app_context, unit, flow))

    return await _change_status(app_context, key, FlowStatus.ACTIVE, check)


async def pause(app_context: AppContext, key: FlowKey) -> StoredFlow:
    """Stop new work without dropping anyone.

    Raises:
        Problem: If it is not active.
    """

    async def check(_unit: Unit, flow: StoredFlow) -> None:
        _check_status(flow, {FlowStatus.ACTIVE}, "paused")

    return await _change_status(app_context, key, FlowStatus.PAUSED, check)


async def archive(app_context: AppContext, key: FlowKey) -> StoredFlow:
    """End a flow for good; its members are dropped.

    Raises:
        Problem: If it is active, or archived already.
    """

    async def check(_unit: Unit, flow: StoredFlow) -> None:
        _check_status(flow, {FlowStatus.DRAFT, FlowStatus.PAUSED}, "archived")

    return await _change_status(app_context, key, FlowStatus.ARCHIVED, check)


async def validate(app_context: AppContext, key: FlowKey) -> Readiness:
    """Say whether a flow could be activated as it is now.

    Raises:
        Problem: If there is no such flow.
    """
    async with app_context.relay.unit() as unit:
        return await ready(app_context, unit, await lock(unit, key))


async def ready(app_context: AppContext, unit: Unit, flow: StoredFlow) -> Readiness:
    """Check whether a flow is complete, against what the workspace has."""
    definition = definition_of(flow)
    lists = await directory.lists(unit.tx, flow.workspace_id)
    mails = await emails.known(unit.tx, flow.workspace_id, definition.emails_named())
    segments = await rules_of(unit.tx, flow.workspace_id, definition.names({}).lists)
    inventory = Inventory(
        emails={email_id: mail.status for email_id, mail in mails.items()},
        email_tags={email_id: mail.contact_tags for email_id, mail in mails.items()},
        emails_without_text=frozenset(one for one, mail in mails.items() if mail.without_text),
        lists=frozenset(one["list_id"] for one in lists if one["kind"] == "static"),
        segments=definition.segments_named(segments),
        custom_fields=await directory.custom_field_definitions(unit.tx, flow.workspace_id),
        secrets=app_context.settings.webhook_secrets,
        templates=await page_templates.statuses(
            unit.tx, flow.workspace_id, definition.templates_named()
        ),
        page_generator=app_context.settings.page_generator_url is not None,
    )
    return readiness(definition, inventory)


async def _change_status(
    app_context: AppContext,
    key: FlowKey,
    status: FlowStatus,
    check: Callable[[Unit, StoredFlow], Awaitable[None]],
) -> StoredFlow:
    async with contextlib.AsyncExitStack() as waiting:
        async with app_context.relay.unit() as unit:
            flow = await lock(unit, key)
            await check(unit, flow)
            change = Change(status=status, published=True)
            changed = await save(app_context, unit, flow, change, reply=True)
            # Waiting begins before anyone can answer.
            applied = waiting.enter_context(
                app_context.replies.to_definition(key.flow_id, changed.version)
            )
        await _wait(app_context, applied, changed)
    return changed


async def _wait(app_context: AppContext, applied: asyncio.Event, flow: StoredFlow) -> None:
    try:
        await asyncio.wait_for(applied.wait(), app_context.settings.definition_wait_seconds)
    except TimeoutError:
        _log.warning("definition.not_applied_yet", flow_id=str(flow.flow_id), version=flow.version)


def _check_status(flow: StoredFlow, allowed: set[FlowStatus], verb: str) -> None:
    if flow.status not in allowed:
        raise wrong_status(f"A flow that is {flow.status} cannot be {verb}")


def _check_ready(found: Readiness) -> None:
    if not found.ready:
        raise not_ready(found)
