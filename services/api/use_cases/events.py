"""Contact events over HTTP: the same events, checked the same way, as on Kafka."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from libs.contracts import topics
from libs.contracts.contact_events import ADAPTER, ContactEvent
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.bodies import Location, issue_of, problem_of_issues
from services.api.use_cases.depth import MOST_LEVELS, too_deep
from services.api.use_cases.problems import Problem

MOST_EVENTS = 500
"""How many events one call takes."""
_MOST_ISSUES = 100
Issue = tuple[Location, str]
"""Where in what was sent, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event as it was sent: attributes and data that we do not know are passed on."""

    topic: ClassVar[topics.Topic] = topics.CONTACT_EVENTS
    event: ContactEvent
    written: bytes

    @property
    def key(self) -> str:
        """The contact's id, as every writer of this topic writes it."""
        return self.event.key

    @property
    def to_partition(self) -> int | None:
        """The key decides."""
        return None

    def body(self) -> bytes:
        """Give the event as JSON."""
        return self.written


async def accept(
    app_context: AppContext, workspace_id: UUID, sent: Sequence[Any], *, batch: bool
) -> None:
    """Publish events, all of them or, if one is wrong, none; return when Kafka has them.

    Args:
        app_context: What use cases work with.
        workspace_id: The workspace of the caller's key, which must be the events'.
        sent: The events.
        batch: Whether several were sent: then problems name each by its place.

    Raises:
        Problem: If an event is wrong, of another workspace or too large; or if Kafka cannot be
            reached: then some may have been published, and the same ones may be sent again.
    """
    read = [_read(one, workspace_id) for one in sent]
    issues = [
        ((index, *location) if batch else location, message)
        for index, one in enumerate(read)
        if not isinstance(one, SentEvent)
        for location, message in one
    ]
    if issues:
        raise problem_of_issues(issues[:_MOST_ISSUES], list(sent) if batch else sent[0])
    await app_context.publish_all([one for one in read if isinstance(one, SentEvent)])


def _read(sent: Any, workspace_id: UUID) -> SentEvent | list[Issue]:
    """Read one event as the readers of the topic do, or say what is wrong with it."""
    if too_deep(sent):
        return [((), f"this nests deeper than {MOST_LEVELS} levels")]
    written = to_json(sent)
    try:
        event = ADAPTER.validate_json(written)
    except ValidationError as error:
        return [issue_of(one) for one in error.errors(include_url=False)]
    if event.workspaceid != workspace_id:
        return [(("workspaceid",), "this is not the workspace of the key")]
    return SentEvent(event, written)


def bounded(sent: Sequence[Any]) -> Sequence[Any]:
    """See that a batch is neither empty nor too long.

    Raises:
        Problem: If it is.
    """
    if 1 <= len(sent) <= MOST_EVENTS:
        return sent
    message = f"Invalid request body: a batch has 1 to {MOST_EVENTS} events"
    issues = {"issues": [{"path": "body", "message": f"1 to {MOST_EVENTS} events"}]}
    raise Problem("invalid", "invalid_request", message, issues)
