"""`/v1/email-flows/{flow_id}/steps`: editing steps one by one, or all at once."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, model_validator

from services.api.http.keys import ContextParam
from services.api.native import step_editing
from services.api.native.flows import NativeFlow, change, with_counts
from services.api.native.step_editing import Placement
from services.api.native.step_editing import Steps as StepDocuments
from services.api.native.wire_steps import AnyWireStep
from services.api.use_cases import flows
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.bodies import read_body
from services.api.use_cases.dialects import FlowKey
from services.api.use_cases.problems import Problem

router = APIRouter(prefix="/v1/email-flows/{flow_id}/steps", tags=["flows"])
Json = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Steps(_Body):
    """A whole list of steps."""

    steps: list[AnyWireStep]


class InsertStep(_Body):
    """A step, and at most one word on where it goes."""

    step: AnyWireStep
    position: Literal["start", "end"] | None = None
    before_step_id: str | None = None
    after_step_id: str | None = None

    @model_validator(mode="after")
    def _one_selector(self) -> Self:
        selectors = ("position", "before_step_id", "after_step_id")
        given = [name for name in selectors if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{given[-1]}: give one of {', '.join(selectors)}")
        return self

    @property
    def placement(self) -> Placement:
        """Where the step goes."""
        return Placement(self.position == "start", self.before_step_id, self.after_step_id)


class PatchStep(_Body):
    """Some fields of a step."""

    step: Json


class RepairEdges(_Body):
    """What takes over the incoming edges of a deleted step; null detaches them."""

    replace_with_step_id: str | None


class DeleteStep(_Body):
    """How to repair edges, if the step has incoming ones."""

    repair_edges: RepairEdges | None = None


@router.put("")
async def put_steps(
    app_context: ContextParam, key: NativeFlow, _body: Steps, request: Request
) -> Json:
    """Replace all steps."""
    return await with_counts(app_context, await change(app_context, key, await request.json()))


@router.post("", status_code=201)
async def insert(
    app_context: ContextParam, key: NativeFlow, body: InsertStep, request: Request
) -> Json:
    """Insert a step; edges are not rewritten."""
    sent = await request.json()
    read_body(InsertStep, sent)
    return await _edited(
        app_context,
        key,
        body.step.step_id,
        lambda steps: step_editing.inserted(steps, sent["step"], body.placement),
    )


@router.patch("/{step_id:path}")
async def patch(app_context: ContextParam, key: NativeFlow, step_id: str, body: PatchStep) -> Json:
    """Merge some fields into a step."""
    return await _edited(
        app_context, key, step_id, lambda steps: step_editing.merged(steps, step_id, body.step)
    )


@router.delete("/{step_id:path}")
async def delete(
    app_context: ContextParam,
    key: NativeFlow,
    step_id: str,
    body: Annotated[DeleteStep | None, Body()] = None,
    replace_with_step_id: str | None = None,
) -> Json:
    """Delete a step, repairing the edges that lead to it if asked to.

    Some proxies drop the body of a DELETE, so the replacement may stand in the address too; there
    an empty one detaches the edges.
    """
    repair = body.repair_edges.model_dump() if body and body.repair_edges else None
    if repair is None and replace_with_step_id is not None:
        repair = {"replace_with_step_id": replace_with_step_id or None}
    return await _edited(
        app_context, key, step_id, lambda steps: step_editing.without(steps, step_id, repair)
    )


async def _edited(
    app_context: AppContext,
    key: FlowKey,
    step_id: str,
    edited: Callable[[StepDocuments], StepDocuments],
) -> Json:
    """Change the list of steps; what is wrong with the one that is meant is told of `step`."""
    steps: StepDocuments = []

    def change(document: Mapping[str, Any]) -> Json:
        steps[:] = edited(document.get("steps", []))
        return {**document, "steps": [*steps]}

    try:
        flow = await flows.edit(app_context, key, change, structure=True)
    except Problem as problem:
        raise problem.moved(_path_of(step_id, steps), "step") from None
    return await with_counts(app_context, flow)


def _path_of(step_id: str, steps: StepDocuments) -> str:
    """Give the path of a step in the whole document."""
    places = (at for at, step in enumerate(steps) if step.get("step_id") == step_id)
    return f"steps.{next(places, 'none')}"
