"""Reading strictly or tolerantly: the same models, told apart by how they are read.

What a user sends is read strictly: a field or a type nobody knows is a mistake, and is named. What
travels between services and what is stored is read tolerantly, to any depth: a newer version of
the program may have written it, and runs beside this one during a deploy.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationInfo

_STRICT = "strict"
ModelT = TypeVar("ModelT", bound=BaseModel)


def read_strictly(kind: type[ModelT], sent: Any) -> ModelT:
    """Read what a user sent.

    Raises:
        ValidationError: If anything in it is wrong or unknown.
    """
    return kind.model_validate(sent, extra="forbid", context={_STRICT: True})


def is_strict(info: ValidationInfo) -> bool:
    """Say whether what is being read comes from a user."""
    return bool(info.context and info.context.get(_STRICT))


def refuse_if_strict(info: ValidationInfo, value: str, what: str) -> str:
    """Give a type nobody knows back where reading is tolerant.

    Raises:
        ValueError: Where it is strict.
    """
    if is_strict(info):
        raise ValueError(f"{value!r} is not a type of {what}")
    return value
