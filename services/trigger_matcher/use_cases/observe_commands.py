"""What the executor is told of an event: one `observe`, or several where one would be too large."""

from collections import deque
from collections.abc import Sequence
from uuid import UUID

from libs.contracts import topics
from libs.contracts.contact_events import ContactEvent
from libs.contracts.message import derived_id
from libs.contracts.step_commands import FlowStart, Observe

MOST_STARTS = 1000
"""How many starts one piece carries: what the executor takes in one go."""
LARGEST = topics.STEP_COMMANDS.max_message_bytes - 64 * 1024
"""How large a body should be; the rest is for key, header and the frame around them."""


def observe_commands(
    key: UUID, event: ContactEvent, starts: Sequence[FlowStart]
) -> Sequence[Observe]:
    """Tell of an event and of the flows it starts, in order.

    An event that is too large by itself cannot be told at all: its command is refused when it is to
    be written, with both sizes, and the event goes to the dead-letter topic.

    Args:
        key: Identifies the event; the ids of the commands follow from it.
        event: What happened.
        starts: The flows it starts.
    """
    pieces: list[Observe] = []
    left = deque(starts[at : at + MOST_STARTS] for at in range(0, len(starts), MOST_STARTS) or [0])
    while left:
        some = left.popleft()
        piece = _piece(key, event, some, len(pieces))
        if len(piece.body()) <= LARGEST or len(some) <= 1:
            pieces.append(piece)
        else:
            half = len(some) // 2
            left.extendleft((some[half:], some[:half]))
    return pieces


def _piece(key: UUID, event: ContactEvent, starts: Sequence[FlowStart], number: int) -> Observe:
    return Observe(
        id=derived_id(key, number) if number else key,
        time=event.time,
        workspace_id=event.workspaceid,
        contact_id=event.subject,
        event=event,
        starts=list(starts),
        piece=number,
    )
