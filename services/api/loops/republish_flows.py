"""Publish flows anew that depend on a list or a field that has changed."""

import asyncio

from libs.chassis.outages import retry_later
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.republishing import republish_due

_LEFT_OVER_SECONDS = 5.0
"""How often it is looked whether somebody else left something over."""


async def republish_flows(app_context: AppContext, stopping: asyncio.Event) -> None:
    """Do so at once where this process has changed something; an outage leaves it for later."""
    changed = app_context.dependency_changed
    while not stopping.is_set():
        changed.clear()
        with retry_later("republishing.retried"):
            await republish_due(app_context)
        await _either(changed, stopping)


async def _either(*events: asyncio.Event) -> None:
    """Wait until one of these happens, but no longer than until it is time to look again."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=_LEFT_OVER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
