"""Reading what users send; what is wrong names the field, as the sender knows it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from libs.domain.strictness import read_strictly
from services.api.use_cases.problems import Problem

Json = Any
Location = tuple[int | str, ...]
_UNKNOWN = "unknown"
"""How the domain calls a step or trigger of a type nobody knows."""
_UNION_ERRORS = frozenset({"union_tag_invalid", "union_tag_not_found"})
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


def problem_of(error: ValidationError, sent: Json) -> Problem:
    """Turn what pydantic says into a problem, with paths as the sender knows them."""
    return problem_of_issues(map(issue_of, error.errors(include_url=False)), sent)


def issue_of(error: Mapping[str, Any]) -> tuple[Location, str]:
    """Say where something is wrong, and what; a type nobody knows is wrong in its own field."""
    location, message = tuple(error["loc"]), str(error["msg"])
    if error["type"] not in _UNION_ERRORS:
        return location, message
    context = error.get("ctx", {})
    field = str(context.get("discriminator", "")).strip("'")
    if not field.isidentifier():
        return location, "this is no kind of rule"
    if error["type"] == "union_tag_not_found":
        return (*location, field), "Field required"
    known = context.get("expected_tags", "")
    return (*location, field), f"'{context.get('tag')}' is not one of {known}"


def problem_of_issues(issues: Iterable[tuple[Location, str]], sent: Json) -> Problem:
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
