"""A flow changed: bring a partition's members in line with it, a page at a time."""

from libs.chassis.exactly_once.records import Received
from libs.contracts.message import derived_id
from libs.contracts.step_commands import ApplyFlow
from libs.domain.flow import Flow, FlowStatus
from libs.domain.membership import Membership
from libs.domain.walk import WalkResult, drop, walk
from services.step_executor.use_cases.unit_of_work import UnitOfWork

_ENDINGS = {FlowStatus.ARCHIVED: "flow_archived", FlowStatus.DELETED: "flow_deleted"}


def apply_flow(unit: UnitOfWork, received: Received[ApplyFlow], members_per_page: int) -> None:
    """Treat one page of members; say that there is another one if this one was full."""
    command = received.message
    page = unit.pages.get(command.id, [])
    flow = unit.flow(command.flow_id, command.version)
    for membership_id in page:
        member = unit.members[membership_id]
        if member.is_live and (result := _in_line(unit, flow, member)):
            unit.apply(received, result)
    if len(page) == members_per_page:
        following = derived_id(command.id, page[-1])
        unit.enqueue(received, command.model_copy(update={"id": following, "after": page[-1]}))


def concerns_everyone(flow: Flow) -> bool:
    """Say whether every member must be looked at, or only the parked ones."""
    return flow.status in _ENDINGS or flow.disqualification_rules is not None


def _in_line(unit: UnitOfWork, flow: Flow, member: Membership) -> WalkResult | None:
    if reason := _ENDINGS.get(flow.status):
        return drop(member, reason, unit.now)
    snapshot = unit.facts_of(member.contact_key)
    if flow.disqualifies(snapshot, unit.now):
        return drop(member, "disqualified", unit.now)
    if flow.status is FlowStatus.ACTIVE and member.parked is not None:
        return walk(flow, member, snapshot, member.parked, unit.now)
    return None
