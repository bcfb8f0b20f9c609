"""Flows, whatever the dialect: create, read, edit, delete."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

from libs.chassis.exactly_once.relay import Unit
from libs.domain.flow import FlowStatus
from libs.domain.webhook_url import UrlRefused, judge_url
from services.api.store import flows
from services.api.store.flows import Change, StoredFlow, Written
from services.api.use_cases import publishing, webhook_tokens
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.dialects import Dialect, Document, FlowKey
from services.api.use_cases.problems import Problem, flow_not_found, invalid


async def create(
    app_context: AppContext, dialect: Dialect, workspace_id: UUID, document: Document
) -> StoredFlow:
    """Create a draft.

    Raises:
        Problem: If its format is wrong.
    """
    written = _written(app_context, dialect, document, {})
    async with app_context.relay.unit() as unit:
        now = app_context.clock.now()
        return await flows.add(unit.tx, uuid4(), workspace_id, written, now)


async def read(app_context: AppContext, key: FlowKey) -> StoredFlow:
    """Read a flow.

    Raises:
        Problem: If there is none that this dialect can show.
    """
    flow = await flows.read(app_context.pool, key.workspace_id, key.flow_id)
    return _visible(flow, key)


async def edit(
    app_context: AppContext,
    key: FlowKey,
    change: Callable[[Document], Document],
    *,
    structure: bool,
) -> StoredFlow:
    """Edit a flow's document, in its home dialect.

    The services hear at once of a change to an active flow, of others when it is next activated.

    Args:
        app_context: What the use case works with.
        key: The flow.
        change: Gives the new document for the one there is.
        structure: Whether triggers, steps or re-entry may change: not while the flow is active.

    Raises:
        Problem: If there is no such flow, its home is elsewhere, it may not change now, or what it
            would become is wrong.
    """
    async with app_context.relay.unit() as unit:
        flow = await lock_for_edit(app_context, unit, key, structure=structure)
        return await rewrite(app_context, unit, flow, change(flow.document))


async def lock_for_edit(
    app_context: AppContext, unit: Unit, key: FlowKey, *, structure: bool
) -> StoredFlow:
    """Read a flow whose document is to change.

    Raises:
        Problem: If there is no such flow, its home is elsewhere, or it may not change now.
    """
    flow = await lock(unit, key)
    _check_home(app_context, flow, key.dialect)
    _check_editable(flow, structure=structure)
    return flow


async def rewrite(
    app_context: AppContext, unit: Unit, flow: StoredFlow, document: Document
) -> StoredFlow:
    """Give a flow that was locked for it another document, in its home dialect.

    Raises:
        Problem: If the document is wrong.
    """
    dialect = app_context.dialects[flow.dialect]
    written = _written(app_context, dialect, document, flow.document)
    active = flow.status is FlowStatus.ACTIVE
    return await save(app_context, unit, flow, Change(written, published=active))


async def delete(app_context: AppContext, key: FlowKey) -> None:
    """Delete a flow; its members are dropped. An active one must be paused first.

    Raises:
        Problem: If there is no such flow, or it is active.
    """
    async with app_context.relay.unit() as unit:
        flow = await lock(unit, key)
        if flow.status is FlowStatus.ACTIVE:
            raise wrong_status("Pause the flow before deleting it")
        published = flow.published_version > 0
        change = Change(status=FlowStatus.DELETED, published=published)
        await save(app_context, unit, flow, change)


async def lock(unit: Unit, key: FlowKey) -> StoredFlow:
    """Read a flow for a change.

    Raises:
        Problem: If there is none that this dialect can show.
    """
    return _visible(await flows.lock(unit.tx, key.workspace_id, key.flow_id), key)


def _written(
    app_context: AppContext, dialect: Dialect, document: Document, before: Document
) -> Written:
    """Compile a document as it is kept: its secrets sealed."""
    kept = webhook_tokens.sealed(app_context.sealer, document, before)
    written = _written_in(app_context, dialect, kept, publishing.written(dialect.compile(kept)))
    _check_webhooks(app_context, dialect, written)
    return written


def _written_in(
    app_context: AppContext, home: Dialect, document: Document, definition: Document
) -> Written:
    """Say what is kept of a document; among it, in which other dialects it can be read."""
    others = [
        other.name
        for other in app_context.dialects.values()
        if other.render and other is not home and other.render(definition, document) is not None
    ]
    return Written(home.name, document, definition, home.compiler, [home.name, *others])


def _check_webhooks(app_context: AppContext, dialect: Dialect, written: Written) -> None:
    """See that every webhook goes to a public address, or one that the operator allows."""
    for at, step in enumerate(written.definition.get("steps", [])):
        if step["type"] != "send_webhook" or not step.get("url"):
            continue
        try:
            judge_url(step["url"], app_context.webhooks_allowed)
        except UrlRefused as refused:
            raise invalid(f"steps.{at}.{dialect.webhook_url}", str(refused)) from None


def _check_editable(flow: StoredFlow, *, structure: bool) -> None:
    barred = flow.status is FlowStatus.ARCHIVED or (structure and flow.status is FlowStatus.ACTIVE)
    if barred:
        message = f"The flow is {flow.status}; pause it before editing its structure"
        raise Problem("conflict", "flow_not_editable", message)


def wrong_status(message: str) -> Problem:
    """Say that a flow cannot go from its status to another."""
    return Problem("conflict", "wrong_flow_status", message)


async def save(
    app_context: AppContext, unit: Unit, flow: StoredFlow, change: Change, *, reply: bool = False
) -> StoredFlow:
    """Make the next version of a flow that was locked.

    If it is published, the services hear of it with the transaction that made it; with `reply` they
    are to say when they work by it.
    """
    now = app_context.clock.now()
    if change.published and change.written is None:
        change = _recompiled(app_context, flow, change)
    changed = await flows.change(unit.tx, flow, change, now)
    if change.published:
        await publishing.publish(unit, changed, now, reply=reply)
    return changed


def _visible(flow: StoredFlow | None, key: FlowKey) -> StoredFlow:
    if flow is None:
        raise flow_not_found()
    if key.dialect.name not in flow.readable_in and not key.dialect.reads_all:
        raise flow_not_found("This flow cannot be shown here; read it at /v1/flows")
    return flow


def _check_home(app_context: AppContext, flow: StoredFlow, dialect: Dialect) -> None:
    if flow.dialect == dialect.name:
        return
    home = app_context.dialects[flow.dialect]
    details = {"dialect": home.name, "path": home.path}
    message = f"This flow was written in the {home.name} dialect; edit it at {home.path}"
    raise Problem("conflict", "flow_edited_elsewhere", message, details)


def _recompiled(app_context: AppContext, flow: StoredFlow, change: Change) -> Change:
    """Compile a flow anew if its dialect's compiler has changed since."""
    home = app_context.dialects[flow.dialect]
    definition = publishing.compiled_anew(replace(flow, status=change.status or flow.status), home)
    if definition is None:
        return change
    anew = _written_in(app_context, home, flow.document, publishing.written(definition))
    return Change(anew, change.status, change.published)
