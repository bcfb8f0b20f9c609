"""Read your writes: waiting, not for ever, until our own directory shows what was published."""

import asyncio
from collections.abc import Callable, Mapping
from uuid import UUID

from services.api.store import directory
from services.api.store.directory import StoredContact
from services.api.use_cases.app_context import AppContext

_LOOK_SECONDS = 0.05
Shown = Callable[[StoredContact | None], bool]
"""Says whether a contact (None if there is none) is as it was written."""


async def until_shown(
    app_context: AppContext, workspace_id: UUID, wanted: Mapping[UUID, Shown]
) -> bool:
    """Wait until contacts are as they were written; False if that took too long.

    Every look is one statement about those that are not shown yet.
    """
    waiting = dict(wanted)
    try:
        async with asyncio.timeout(app_context.settings.directory_wait_seconds):
            while waiting:
                keys = [(workspace_id, contact_id) for contact_id in waiting]
                found = await directory.read_contacts(app_context.pool, keys)
                waiting = {
                    contact_id: shown
                    for contact_id, shown in waiting.items()
                    if not shown(found.get((workspace_id, contact_id)))
                }
                if waiting:  # another process may be the one to write it, so there is no signal
                    await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return False
    return True
