"""Publishing flows anew because what their rules look at has changed: a list, a custom field.

A change is a row, written in the transaction that made it. Some of the flows that depend on it are
found, compiled and published in one transaction, which also says how far it came. So a process that
dies loses nothing: whoever goes on, goes on where it stopped, and a flow that is published twice
does no harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prometheus_client import Counter

from libs.chassis.exactly_once.relay import Unit
from libs.chassis.outages import is_outage
from libs.chassis.telemetry.logs import logger
from libs.domain.flow import FlowStatus
from services.api.store import flow_dependencies, flows
from services.api.store.flow_dependencies import DependencyChange
from services.api.store.flows import StoredFlow
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.problems import Problem
from services.api.use_cases.publishing import (
    compiled_anew,
    defined,
    definition_of,
    depend,
    keep_named,
    written,
)

_PAGE = 25
"""So many flows are published anew in one transaction."""
_NOT_REPUBLISHED = Counter(
    "millrace_flows_not_republished_total",
    "Flows that could not be published anew after a change of what they depend on. Must be 0.",
)
_log = logger(__name__)


@dataclass(slots=True)
class _Page:
    """What has changed, and the flows it was about in one transaction."""

    change: DependencyChange | None = None
    found: list[StoredFlow] = field(default_factory=list)


async def republish_due(app_context: AppContext) -> None:
    """Publish all flows anew that depend on something that has changed."""
    while await republish_some(app_context):
        pass


async def republish_some(app_context: AppContext, at_most: int = _PAGE) -> bool:
    """Publish some flows anew; False if nothing has changed for which it is to be done.

    One that cannot be published costs nobody else: it stays as others know it, and is counted.
    """
    page = _Page()
    try:
        async with app_context.relay.unit() as unit:
            await _take(app_context, unit, page, at_most)
    except Exception as error:
        if is_outage(error) or page.change is None or not page.found:
            raise
        if len(page.found) > 1:
            return await republish_some(app_context, 1)
        await _pass_over(app_context, page.change, page.found[0])
    return page.change is not None


async def _take(app_context: AppContext, unit: Unit, page: _Page, at_most: int) -> None:
    page.change = await flow_dependencies.claim(unit.tx)
    if page.change is None:
        return
    page.found = await flows.lock_dependants(unit.tx, page.change, at_most)
    await _republish(app_context, unit, [flow for flow in page.found if _runs_as_written(flow)])
    if len(page.found) < at_most:
        await flow_dependencies.end(unit.tx, page.change)
    else:
        await flow_dependencies.go_on(unit.tx, page.change, page.found[-1].flow_id)


async def _pass_over(app_context: AppContext, change: DependencyChange, flow: StoredFlow) -> None:
    """Go on after a flow; if somebody else has gone on meanwhile, that counts."""
    _log.exception("flow.not_published_anew", flow_id=str(flow.flow_id))
    _NOT_REPUBLISHED.inc()
    async with app_context.relay.unit() as unit:
        await flow_dependencies.go_on(unit.tx, change, flow.flow_id)


def _runs_as_written(flow: StoredFlow) -> bool:
    """Say whether what others know of a flow is what its author wrote last.

    One that was edited while it is paused is published when it is activated, not before.
    """
    unedited = flow.status is FlowStatus.PAUSED and flow.version == flow.published_version
    return flow.status is FlowStatus.ACTIVE or unedited


async def _republish(app_context: AppContext, unit: Unit, stale: Sequence[StoredFlow]) -> None:
    if not stale:
        return
    workspace_id = stale[0].workspace_id
    anew = [_next_version(app_context, flow) for flow in stale]
    known = await keep_named(unit.tx, workspace_id, map(definition_of, anew))
    for flow in anew:
        message = defined(flow, known, app_context.clock.now())
        if None in message.flow.segments.values():
            _log.warning("flow.asks_what_cannot_be_judged", flow_id=str(flow.flow_id))
        unit.enqueue(message)
    await flows.republish(unit.tx, anew)
    await depend(unit.tx, workspace_id, anew, known)


def _next_version(app_context: AppContext, flow: StoredFlow) -> StoredFlow:
    """Compile a flow anew where that is due; what its dialect does not take any more stays."""
    home = app_context.dialects[flow.dialect]
    version = flow.version + 1
    following = replace(flow, version=version, published_version=version)
    try:
        definition = compiled_anew(flow, home)
    except Problem as problem:
        _log.warning("flow.not_compiled_anew", flow_id=str(flow.flow_id), reason=problem.message)
        return following
    if definition is None:
        return following
    return replace(following, definition=written(definition), compiler=home.compiler)
