"""The application that serves `/v1/flows`."""

from fastapi import Depends, FastAPI

from services.api.engine import flows, members, phrasing
from services.api.engine.documents import ENGINE
from services.api.http import problems
from services.api.http.bodies import readable
from services.api.use_cases.app_context import AppContext


def app_of(app_context: AppContext) -> FastAPI:
    """Put the routes together."""
    app = FastAPI(
        title="Millrace: the engine's language",
        version="1",
        description="Flows of every home, as the engine sees them.",
        dependencies=[Depends(readable)],
        docs_url=f"{ENGINE.path}/docs",
        openapi_url=f"{ENGINE.path}/openapi.json",
        redoc_url=None,
    )
    app.state.app_context = app_context
    problems.install(app, phrasing.body_of)
    for part in (flows, members):
        app.include_router(part.router)
    return app
