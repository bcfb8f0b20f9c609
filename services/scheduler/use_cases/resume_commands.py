"""What a timer says when it fires."""

from libs.contracts.message import derived_id
from libs.contracts.step_commands import Resume
from libs.contracts.timer_commands import SetTimer
from services.scheduler.store.timers import Timer


def resume_command(timer: Timer | SetTimer) -> Resume:
    """Make the command; its id follows from the timer, so that firing again would say the same."""
    return Resume(
        id=derived_id("resume", timer.membership_id, timer.hop, timer.due_at),
        time=timer.due_at,
        workspace_id=timer.workspace_id,
        contact_id=timer.contact_id,
        membership_id=timer.membership_id,
        hop=timer.hop,
        due_at=timer.due_at,
    )
