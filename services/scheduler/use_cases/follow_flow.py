"""What a definition changes of a flow's date triggers."""

from collections.abc import Collection, Iterator
from datetime import datetime

from libs.domain.flow import Flow, FlowStatus
from services.scheduler.store.date_triggers import StoredTrigger


def changed_triggers(
    known: Collection[StoredTrigger], flow: Flow, at: datetime
) -> Iterator[StoredTrigger]:
    """Give the triggers that a definition closes and opens.

    One that goes on unchanged has been active all the time, whatever else was edited.

    Args:
        known: What is kept of the flow.
        flow: The definition.
        at: When it was made.
    """
    if any(one.flow_version >= flow.version for one in known):
        return  # it has come before, or a newer one has
    before = {one.trigger_id: one for one in known if one.active_until is None}
    active = flow.date_triggers if flow.status is FlowStatus.ACTIVE else {}
    now = {trigger_id: one.model_dump(mode="json") for trigger_id, one in active.items()}
    for trigger_id, one in before.items():
        if now.get(trigger_id) != one.settings:
            yield one._replace(active_until=at)
    for trigger_id, settings in now.items():
        if trigger_id not in before or before[trigger_id].settings != settings:
            yield StoredTrigger(
                flow.flow_id, trigger_id, flow.workspace_id, flow.version, settings, at
            )
