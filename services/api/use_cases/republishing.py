"""Publishing flows anew because what their rules look at has changed: a list, a custom field.

A change is a row, written in the transaction that made it. Some of the flows that depend on it are
found, compiled and published in one transaction, which also says how far it came. So a process that
dies loses nothing: whoever goes on, goes on where it stopped, and a flow that is published twice
does no harm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import ValidationError

from libs.chassis.exactly_once.relay import Unit
from libs.chassis.telemetry.logs import logger
from libs.domain.flow import FlowStatus
from services.api.store import flow_dependencies, flows
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
_log = logger(__name__)


async def republish_due(app_context: AppContext) -> None:
    """Publish all flows anew that depend on something that has changed."""
    while await republish_some(app_context):
        pass


async def republish_some(app_context: AppContext, at_most: int = _PAGE) -> bool:
    """Publish some flows anew; False if nothing has changed for which it is to be done."""
    async with app_context.relay.unit() as unit:
        change = await flow_dependencies.claim(unit.tx)
        if change is None:
            return False
        found = await flows.lock_dependants(unit.tx, change, at_most)
        await _republish(app_context, unit, [flow for flow in found if _runs_as_written(flow)])
        if len(found) < at_most:
            await flow_dependencies.end(unit.tx, change)
        else:
            await flow_dependencies.go_on(unit.tx, change, found[-1].flow_id)
    return True


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
    anew = list(_next_versions(app_context, stale))
    known = await keep_named(unit.tx, workspace_id, map(definition_of, anew))
    for flow in anew:
        message = defined(flow, known, app_context.clock.now())
        if None in message.flow.segments.values():
            _log.warning("flow.asks_what_cannot_be_judged", flow_id=str(flow.flow_id))
        unit.enqueue(message)
    await flows.republish(unit.tx, anew)
    await depend(unit.tx, workspace_id, anew, known)


def _next_versions(app_context: AppContext, stale: Sequence[StoredFlow]) -> Iterator[StoredFlow]:
    """Give the next version of flows; one that cannot be read stays as others know it."""
    for flow in stale:
        try:
            definition_of(flow)
        except ValidationError:
            _log.exception("flow.not_published_anew", flow_id=str(flow.flow_id))
            continue
        yield _next_version(app_context, flow)


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
