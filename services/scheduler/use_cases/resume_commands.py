"""What a timer says when it fires."""

from libs.contracts.message import derived_id
from libs.contracts.step_commands import Resume, RetryDelivery
from services.scheduler.store.timers import Timer


def resume_command(timer: Timer) -> Resume | RetryDelivery:
    """Make the command; its id follows from the timer, so that firing again would say the same."""
    command_id = derived_id("wake", timer.purpose, timer.membership_id, timer.hop, timer.due_at)
    if timer.purpose == "resume":
        return Resume(
            id=command_id,
            time=timer.due_at,
            workspace_id=timer.workspace_id,
            contact_id=timer.contact_id,
            membership_id=timer.membership_id,
            hop=timer.hop,
            due_at=timer.due_at,
        )
    return RetryDelivery(
        id=command_id,
        time=timer.due_at,
        workspace_id=timer.workspace_id,
        contact_id=timer.contact_id,
        membership_id=timer.membership_id,
        hop=timer.hop,
    )
