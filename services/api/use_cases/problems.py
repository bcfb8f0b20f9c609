"""What can be wrong with a request. HTTP turns a problem into a status and a body."""

from typing import Any, Literal
from uuid import UUID

from libs.domain.readiness import Readiness

Kind = Literal["invalid", "unauthorized", "not_found", "conflict", "too_large", "unavailable"]


class Problem(Exception):  # noqa: N818  (the caller's, mostly)
    """A request that cannot be met.

    Attributes:
        kind: What sort of problem it is.
        code: Its code, for programs. A dialect may call it otherwise.
        message: A sentence, for people.
        details: More, where it helps.
        readiness: What a flow is missing, if that is the problem.
    """

    def __init__(
        self,
        kind: Kind,
        code: str,
        message: str,
        details: dict[str, Any] | None = None,
        readiness: Readiness | None = None,
    ) -> None:
        super().__init__(message)
        self.readiness = readiness
        self.kind = kind
        self.code = code
        self.message = message
        self.details = details

    def moved(self, path: str, to: str) -> "Problem":
        """Tell of the fields below a path as the caller sees them, who sent only a part."""
        issues = (self.details or {}).get("issues")
        if not issues:
            return self
        named = [{**one, "path": _moved(one["path"], path, to)} for one in issues]
        message = self.message.replace(issues[0]["path"], named[0]["path"], 1)
        return Problem(self.kind, self.code, message, {"issues": named})


def _moved(place: str, path: str, to: str) -> str:
    below = place.removeprefix(path)
    return f"{to}{below}" if below != place and below[:1] in {"", "."} else place


def invalid(path: str, message: str) -> Problem:
    """Say that a field of the request is wrong."""
    details = {"issues": [{"path": path, "message": message}]}
    return Problem("invalid", "invalid_request", f"{path}: {message}", details)


def unavailable() -> Problem:
    """Say that something behind us does not answer; the same request may be sent again."""
    message = "The request could not be completed in time; it is safe to send it again"
    return Problem("unavailable", "temporarily_unavailable", message)


def flow_not_found(message: str = "Flow not found") -> Problem:
    """No such flow in this workspace, or none that can be shown."""
    return Problem("not_found", "flow_not_found", message)


def step_not_found(step_id: str) -> Problem:
    """No such step in this flow."""
    return Problem("not_found", "step_not_found", f"Step {step_id} not found")


def membership_not_found() -> Problem:
    """No such membership in this flow."""
    return Problem("not_found", "membership_not_found", "Membership not found")


def email_not_found() -> Problem:
    """No such mail in this workspace."""
    return Problem("not_found", "email_not_found", "Email not found")


def template_not_found() -> Problem:
    """No such template of web pages in this workspace."""
    return Problem("not_found", "template_not_found", "Template not found")


def contact_not_found() -> Problem:
    """No such contact in this workspace."""
    return Problem("not_found", "contact_not_found", "Contact not found")


def list_not_found() -> Problem:
    """No such list in this workspace."""
    return Problem("not_found", "list_not_found", "List not found")


def contact_exists(contact_id: UUID | None) -> Problem:
    """Another contact has this address or id."""
    message = "A contact with this email or id exists already"
    details = {"contact_id": str(contact_id)} if contact_id else None
    return Problem("conflict", "contact_already_exists", message, details)


def too_large_event(index: int, room: int) -> Problem:
    """An event that its topic would not take."""
    message = f"Event {index} is too large: it may have {room} bytes"
    return Problem("too_large", "event_too_large", message, {"index": index, "most_bytes": room})


def not_ready(found: Readiness) -> Problem:
    """The flow is not complete enough to be activated."""
    return Problem("invalid", "flow_not_ready", "The flow is not complete", readiness=found)
