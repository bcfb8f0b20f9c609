"""The native API as an application of its own: its routes, its errors, its document."""

from fastapi import Depends, FastAPI

from services.api.http import problems
from services.api.http.bodies import readable
from services.api.native import (
    directory,
    emails,
    flow_steps,
    flows,
    memberships,
    phrasing,
    step_email,
    templates,
)
from services.api.pages import served
from services.api.tracking import links
from services.api.use_cases.app_context import AppContext


def app_of(app_context: AppContext) -> FastAPI:
    """Put the routes together."""
    app = FastAPI(
        title="Millrace",
        version="1",
        description="Triggered flows.",
        dependencies=[Depends(readable)],
    )
    app.state.app_context = app_context
    problems.install(app, phrasing.body_of)
    for part in (
        flows,
        step_email,
        flow_steps,
        memberships,
        emails,
        templates,
        directory,
        links,
        served,
    ):
        app.include_router(part.router)
    return app
