"""Reading what users write of a flow; what is wrong names the field."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from libs.domain.flow import FlowContent
from services.api.use_cases.problems import Problem

Json = Any


def read_content(content: Mapping[str, Json]) -> FlowContent:
    """Check the format of a flow.

    Raises:
        Problem: If a field is wrong, or a step id stands twice.
    """
    try:
        read = FlowContent.model_validate(content)
    except ValidationError as error:
        raise problem_of(error, content) from None
    if duplicates := read.duplicate_step_ids():
        message = f"Duplicate step_id: {', '.join(duplicates)}"
        raise Problem("conflict", "campaign_flow_duplicate_step_id", message)
    return read


def problem_of(error: ValidationError, sent: Json) -> Problem:
    """Turn what pydantic says into a problem, with paths as the sender knows them."""
    return problem_of_issues(
        [(tuple(one["loc"]), one["msg"]) for one in error.errors(include_url=False)], sent
    )


def problem_of_issues(issues: Sequence[tuple[tuple[int | str, ...], str]], sent: Json) -> Problem:
    """Turn (location, message) pairs into a problem."""
    told = [
        {"path": path_in(sent, location), "message": said.removeprefix("Value error, ")}
        for location, said in issues
    ]
    first = f"{told[0]['path']}: {told[0]['message']}" if told else ""
    message = f"Invalid request body: {first}"
    return Problem("invalid", "invalid_request", message, {"issues": told})


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
    return isinstance(at, Mapping) and any(at.get(tag) == segment for tag in tags)
