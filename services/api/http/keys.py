"""Who calls: a bearer key says which workspace, and nothing else does."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.api.store import keys
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.problems import Problem

_bearer = HTTPBearer(auto_error=False, description="An API key of the workspace.")


def context_of(request: Request) -> AppContext:
    """Give what use cases work with."""
    app_context: AppContext = request.app.state.app_context
    return app_context


ContextParam = Annotated[AppContext, Depends(context_of)]


async def workspace_of(
    app_context: ContextParam,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> UUID:
    """Say which workspace the caller's key opens.

    Raises:
        Problem: If there is no key, or it opens none.
    """
    found = (
        await keys.workspace_of(app_context.pool, credentials.credentials) if credentials else None
    )
    if found is None:
        raise Problem("unauthorized", "unauthorized", "Unauthorized")
    return found


Workspace = Annotated[UUID, Depends(workspace_of)]
