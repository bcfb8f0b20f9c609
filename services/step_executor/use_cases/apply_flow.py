"""A flow changed: bring a shard's members in line with it, a page at a time."""

from libs.chassis.records import Received
from libs.contracts.message import derived_id
from libs.contracts.step_commands import ApplyFlow
from libs.domain.flow import Flow, FlowStatus
from libs.domain.membership import Membership
from libs.domain.walk import Walked, drop, walk
from services.step_executor.use_cases.workbench import Workbench

_ENDINGS = {FlowStatus.ARCHIVED: "flow_archived", FlowStatus.DELETED: "flow_deleted"}


def apply_flow(bench: Workbench, received: Received[ApplyFlow], members_per_page: int) -> None:
    """Treat one page of members; say that there is another one if this one was full."""
    command = received.message
    page = bench.pages.get(command.id, [])
    flow = bench.flow(command.flow_id, command.version)
    for membership_id in page:
        member = bench.members[membership_id]
        if member.is_live and (walked := _in_line(bench, flow, member)):
            bench.apply(received, walked)
    if len(page) == members_per_page:
        following = derived_id(command.id, page[-1])
        bench.say(received, command.model_copy(update={"id": following, "after": page[-1]}))


def concerns_everyone(flow: Flow) -> bool:
    """Say whether every member must be looked at, or only the parked ones."""
    return flow.status in _ENDINGS or flow.disqualification_rules is not None


def _in_line(bench: Workbench, flow: Flow, member: Membership) -> Walked | None:
    if reason := _ENDINGS.get(flow.status):
        return drop(member, reason, bench.now)
    facts = bench.facts_of(member.contact_key)
    if flow.disqualifies(facts, bench.now):
        return drop(member, "disqualified", bench.now)
    if flow.status is FlowStatus.ACTIVE and member.parked is not None:
        return walk(flow, member, facts, member.parked, bench.now)
    return None
