"""Reading what users write of a flow; what is wrong names the field."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from libs.domain.flow import FlowContent
from libs.domain.strictness import read_strictly
from services.api.use_cases.problems import Problem

Json = Any
_UNKNOWN = "unknown"
"""How the domain calls a step or trigger of a type nobody knows."""
ModelT = TypeVar("ModelT", bound=BaseModel)


def read_body(kind: type[ModelT], sent: Json) -> ModelT:
    """Read what a user sent, strictly.

    Raises:
        Problem: If anything in it is wrong or unknown.
    """
    try:
        return read_strictly(kind, sent)
    except ValidationError as error:
        raise problem_of(error, sent) from None


def read_content(content: Mapping[str, Json]) -> FlowContent:
    """Check the format of a flow as a user wrote it.

    Raises:
        Problem: If a field is wrong or unknown, or a step id stands twice.
    """
    read = read_body(FlowContent, content)
    if duplicates := read.duplicate_step_ids():
        message = f"Duplicate step_id: {', '.join(duplicates)}"
        raise Problem("conflict", "campaign_flow_duplicate_step_id", message)
    return read


def stored_content(content: Mapping[str, Json]) -> FlowContent:
    """Read a flow as it was stored, maybe by a newer version of the program."""
    return FlowContent.model_validate(content)


def emails_of(content: FlowContent) -> set[UUID]:
    """Name the mails that steps of a flow may send."""
    return {email_id for step in content.steps for email_id in step.emails()}


def problem_of(error: ValidationError, sent: Json) -> Problem:
    """Turn what pydantic says into a problem, with paths as the sender knows them."""
    return problem_of_issues(
        [(tuple(one["loc"]), one["msg"]) for one in error.errors(include_url=False)], sent
    )


def problem_of_issues(issues: Sequence[tuple[tuple[int | str, ...], str]], sent: Json) -> Problem:
    """Turn (location, message) pairs into a problem."""
    named = [
        {"path": path_in(sent, location), "message": message.removeprefix("Value error, ")}
        for location, message in issues
    ]
    first = f"{named[0]['path']}: {named[0]['message']}" if named else ""
    message = f"Invalid request body: {first}"
    return Problem("invalid", "invalid_request", message, {"issues": named})


def path_in(sent: Json, location: Sequence[int | str]) -> str:
    """Give a location as a path into what was sent, without the names of union members."""
    path: list[str] = []
    at = sent
    for segment in location:
        if isinstance(at, Mapping) and segment in at:
            at = at[str(segment)]
        elif isinstance(at, list) and isinstance(segment, int) and segment < len(at):
            at = at[segment]
        elif _is_tag(at, segment):
            continue
        else:
            at = None
        path.append(str(segment))
    return ".".join(path) or "body"


def _is_tag(at: Json, segment: int | str) -> bool:
    """Say whether a segment only tells which kind of object was read there."""
    tags = ("type", "kind", "source")
    if not isinstance(at, Mapping):
        return False
    return segment == _UNKNOWN or any(at.get(tag) == segment for tag in tags)
