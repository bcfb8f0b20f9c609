"""A flow in the engine's own language: the definition itself, and what is kept beside it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, JsonValue

from libs.domain.flow import Definition
from services.api.use_cases.bodies import read_body
from services.api.use_cases.dialects import Dialect
from services.api.use_cases.problems import invalid
from services.api.use_cases.trigger_ids import with_ids

MAX_STEPS = 1000
MAX_TRIGGERS = 100
MAX_GUARDS = 25


class FlowDocument(Definition):
    """What a user writes of a flow.

    Attributes:
        description: For people.
        settings: For the tools that edit flows; the engine does not look at them.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=1000)] | None = None
    settings: dict[str, JsonValue] = {}


def compile_document(document: Mapping[str, Any]) -> Definition:
    """Check a document; it says what it means already.

    Raises:
        Problem: If a field is wrong or unknown, or too many of something.
    """
    read_body(FlowDocument, document)
    _check_sizes(document)
    kept = {key: document[key] for key in document if key in Definition.model_fields}
    triggers = list(with_ids(document.get("triggers", [])))
    return Definition.model_validate({**kept, "triggers": triggers})


def _check_sizes(document: Mapping[str, Any]) -> None:
    most = {"steps": MAX_STEPS, "triggers": MAX_TRIGGERS, "guards": MAX_GUARDS}
    for name, limit in most.items():
        if len(document.get(name, ())) > limit:
            raise invalid(name, f"at most {limit}")


ENGINE = Dialect("engine", "/v1/flows", 1, compile_document, reads_all=True)
"""Flows written through `/v1/flows`."""
