"""timer.commands: wake-ups the executor asks of the scheduler. Cancelling is doing nothing."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact


class SetTimer(AboutContact):
    """Wake a membership at `due_at`; the wake-up names its hop."""

    topic: ClassVar[topics.Topic] = topics.TIMER_COMMANDS
    type: Literal["set_timer"] = "set_timer"
    membership_id: UUID
    hop: int
    due_at: AwareDatetime


TimerCommand = SetTimer

ADAPTER: TypeAdapter[TimerCommand] = TypeAdapter(TimerCommand)
"""Reads a record of this topic."""
