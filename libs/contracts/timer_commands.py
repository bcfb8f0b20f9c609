"""timer.commands: what the executor asks of the scheduler, and tells it of contacts' dates.

Cancelling a wake-up is doing nothing.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, TypeAdapter

from libs.contracts import topics
from libs.contracts.message import AboutContact


class SetTimer(AboutContact):
    """Wake a membership at `due_at`; the wake-up names its hop."""

    topic: ClassVar[topics.Topic] = topics.TIMER_COMMANDS
    type: Literal["set_timer"] = "set_timer"
    membership_id: UUID
    hop: int
    due_at: AwareDatetime


class RememberDates(AboutContact):
    """Some fields of the contact hold other dates than before. Only those that changed are told.

    Whoever keeps dates finds the old ones by `before`. They are written as in libs/domain/
    occurrences.py: `2026-03-10`, or an instant.

    Attributes:
        before: What the scheduler knew of them, by field; one that held no date is left out.
        dates: What they hold now; one that holds no date any more is left out.
        set_at: When they were set. A moment that was past by then does not count.
    """

    topic: ClassVar[topics.Topic] = topics.TIMER_COMMANDS
    type: Literal["remember_dates"] = "remember_dates"
    before: dict[str, str] = {}
    dates: dict[str, str] = {}
    set_at: AwareDatetime


class ForgetContact(AboutContact):
    """The contact is gone, and with it these dates, by field."""

    topic: ClassVar[topics.Topic] = topics.TIMER_COMMANDS
    type: Literal["forget_contact"] = "forget_contact"
    before: dict[str, str]


TimerCommand = Annotated[
    SetTimer | RememberDates | ForgetContact,
    Field(discriminator="type"),
]

ADAPTER: TypeAdapter[TimerCommand] = TypeAdapter(TimerCommand)
"""Reads a record of this topic."""
