"""Reading what users send; what is wrong names the field, as the sender knows it."""

import re
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
_NO_OBJECT = frozenset({"model_type", "model_attributes_type", "dict_type"})
_KINDS_OF_VALUE = frozenset({"constrained-str", "str", "bool", "int", "float", "RelativeDate"})
"""How pydantic calls what a value may be, where that is several things."""
_NAMES_A_FIELD = re.compile(r"(?P<field>[a-z_]\w*(?:\.\w+)*): (?P<rest>.+)", re.DOTALL)
_EXPECTED = "Input should be "
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
    """Say where something is wrong, and what.

    A type nobody knows is wrong in its own field. A message that begins with the name of a field,
    as `days_after: only with mode after_date`, is about that field.
    """
    location, kind = tuple(error["loc"]), error["type"]
    message = str(error["msg"]).removeprefix("Value error, ")
    if kind in _UNION_ERRORS:
        return _issue_of_union(location, error)
    if kind in _NO_OBJECT:
        return location, f"{_EXPECTED}an object"
    if kind == "value_error" and (named := _NAMES_A_FIELD.fullmatch(message)):
        return (*location, *named["field"].split(".")), named["rest"]
    return location, message


def _issue_of_union(location: Location, error: Mapping[str, Any]) -> tuple[Location, str]:
    """Say what is wrong with an object whose type nobody knows, or that names none."""
    context = error.get("ctx", {})
    field, known = _discriminator(context, error["input"])
    if error["type"] == "union_tag_not_found":
        return (*location, field), "Field required"
    return (*location, field), f"'{context.get('tag')}' is not one of {', '.join(known)}"


def _discriminator(context: Mapping[str, Any], given: Json) -> tuple[str, list[str]]:
    """Name the field that tells the type of an object, and the types there are.

    Rules have two: a group is told apart by its kind, a condition by its source.
    """
    field = str(context.get("discriminator", "")).strip("'")
    known = str(context.get("expected_tags", "")).split(", ")
    if field.isidentifier():
        return field, known
    if isinstance(given, Mapping) and given.get("kind") == "condition":
        return "source", [one for one in known if one != "'group'"]
    return "kind", ["'group'", "'condition'"]


def problem_of_issues(issues: Iterable[tuple[Location, str]], sent: Json) -> Problem:
    """Turn (location, message) pairs into a problem."""
    by_path: dict[str, list[str]] = {}
    for location, message in issues:
        by_path.setdefault(path_in(sent, location), []).append(message)
    named = [
        {"path": path, "message": _one_message(messages)}
        for path, messages in by_path.items()
        if not any(other.startswith(f"{path}.") for other in by_path)
    ]
    first = f"{named[0]['path']}: {named[0]['message']}" if named else ""
    message = f"Invalid request body: {first}"
    return Problem("invalid", "invalid_request", message, {"issues": named})


def _one_message(messages: Sequence[str]) -> str:
    """Say in one what a value that may be several things might have been."""
    first, *others = dict.fromkeys(messages)
    return " or ".join([first, *(one.removeprefix(_EXPECTED) for one in others)])


def path_in(sent: Json, location: Sequence[int | str]) -> str:
    """Give a location as a path into what was sent, without the names of union members."""
    path: list[str] = []
    at = sent
    for number, segment in enumerate(location, start=1):
        if number < len(location) and _is_tag(at, segment):
            continue
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
    """Say whether a segment only tells as what a value was read there."""
    tags = ("type", "kind", "source")
    if segment in _KINDS_OF_VALUE:
        return True
    if not isinstance(at, Mapping):
        return False
    return segment == _UNKNOWN or any(at.get(tag) == segment for tag in tags)
