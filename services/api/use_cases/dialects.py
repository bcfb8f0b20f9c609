"""Dialects: the languages flows are written in.

A flow is edited in the dialect it was written in, its home. What the other services see of it is
the definition its document is compiled to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.domain.flow import Definition

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """A language for flows.

    Attributes:
        name: What it is called.
        path: Where its API is served.
        compiler: The number of its compiler. A flow that an older one has compiled is compiled
            anew when it is next published.
        compile: Checks a document and writes it in the engine's language; raises Problem.
        render: Writes a definition of another home as a document of its own; None if it cannot.
            What is kept beside the definition is taken from the document at home.
        reads_all: Whether it can show flows of every home; otherwise only those it can render.
        webhook_url: What it calls the address of a webhook.
    """

    name: str
    path: str
    compiler: int
    compile: Callable[[Mapping[str, Any]], Definition]
    render: Callable[[Document, Document], Document | None] | None = None
    reads_all: bool = False
    webhook_url: str = "url"


@dataclass(frozen=True, slots=True)
class FlowKey:
    """A flow, as it is asked for: in a workspace, in a dialect."""

    workspace_id: UUID
    flow_id: UUID
    dialect: Dialect
