"""Named statements from .sql files."""

from pathlib import Path
from typing import Any

import aiosql


def queries_beside(module_file: str) -> Any:
    """Load the statements of the .sql file with the same name as a module.

    Every statement has a name, a parameter list and a description, and works on sets. The returned
    object has a function for each; the store's own functions give the types back.
    """
    return aiosql.from_path(
        Path(module_file).with_suffix(".sql"), "asyncpg", mandatory_parameters=False
    )
