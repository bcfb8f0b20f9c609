"""Secrets that steps name instead of holding them: looked up when they are needed, never kept."""

import asyncio
import re
from pathlib import Path
from typing import Protocol
from uuid import UUID

_ARN = re.compile(r"arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]*:[0-9]*:secret:([A-Za-z0-9/_+=.@-]+)")
_LONGEST = 64 * 1024


class SecretNotFound(Exception):  # noqa: N818  (it may be there later)
    """There is no such secret, or it cannot be read now. The message does not hold it."""


class Secrets(Protocol):
    """Where secrets are."""

    async def secret(self, workspace_id: UUID, name: str) -> str:
        """Give a secret of a workspace, by its ARN.

        Raises:
            SecretNotFound: If there is none.
        """


class MountedSecrets:
    """Secrets in files, as cluster drivers mount them: `<folder>/<workspace id>/<name>`.

    A workspace reaches only what is mounted for it, whatever it names. Of the name, slashes are
    underscores, as the drivers write them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def secret(self, workspace_id: UUID, name: str) -> str:
        """Read it anew each time: it may have been replaced.

        Raises:
            SecretNotFound: If there is none.
        """
        found = _ARN.fullmatch(name)
        if found is None or found[1].startswith("."):
            raise SecretNotFound("secret_malformed")
        path = self._folder / str(workspace_id) / found[1].replace("/", "_")
        try:
            return await asyncio.to_thread(_read, path)
        except (OSError, UnicodeError):
            raise SecretNotFound("secret_not_found") from None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LONGEST).decode().strip()
