"""Who calls: a bearer key says which workspace, and nothing else does."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.api.store import keys
from services.api.use_cases.desk import Desk
from services.api.use_cases.problems import Problem

_bearer = HTTPBearer(auto_error=False, description="An API key of the workspace.")


def desk_of(request: Request) -> Desk:
    """Give what use cases work with."""
    desk: Desk = request.app.state.desk
    return desk


DeskParam = Annotated[Desk, Depends(desk_of)]


async def workspace_of(
    desk: DeskParam,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> UUID:
    """Say which workspace the caller's key opens.

    Raises:
        Problem: If there is no key, or it opens none.
    """
    found = await keys.workspace_of(desk.pool, credentials.credentials) if credentials else None
    if found is None:
        raise Problem("unauthorized", "unauthorized", "Unauthorized")
    return found


Workspace = Annotated[UUID, Depends(workspace_of)]
