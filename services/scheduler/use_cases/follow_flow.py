"""What a definition changes of a flow's date triggers."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from libs.domain.flow import Flow, FlowStatus
from libs.domain.triggers.date_based import DateBasedTrigger
from services.scheduler.store.date_triggers import StoredTrigger


def changed_triggers(
    known: Mapping[str, StoredTrigger], flow: Flow, at: datetime
) -> Iterator[StoredTrigger]:
    """Give the triggers that a definition makes other than they are known.

    One that goes on unchanged has been active all the time, whatever else was edited.

    Args:
        known: The flow's triggers, by id.
        flow: The definition.
        at: When it was made: a trigger it changes is active since then.
    """
    if any(one.flow_version >= flow.version for one in known.values()):
        return  # it has come before, or a newer one has
    active = flow.date_triggers if flow.status is FlowStatus.ACTIVE else {}
    for trigger_id in known.keys() | active.keys():
        before = known.get(trigger_id)
        settings = _settings(active.get(trigger_id))
        if settings != (before.settings if before else None):
            yield StoredTrigger(
                flow.flow_id, trigger_id, flow.workspace_id, flow.version, settings, at
            )


def _settings(trigger: DateBasedTrigger | None) -> Mapping[str, Any] | None:
    return trigger.model_dump(mode="json") if trigger else None
