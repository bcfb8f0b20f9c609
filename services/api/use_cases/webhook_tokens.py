"""Bearer tokens of webhooks: sealed before anything is stored, and never shown again.

They stand in the same place in the documents of every dialect: `token`, in a step of the type
`send_webhook`. Answers say `token_set` instead; a step that comes back with it keeps its token.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from libs.chassis.sealing import PREFIX, Sealer
from services.api.use_cases.problems import invalid

Json = dict[str, Any]


def sealed(sealer: Sealer, document: Json, before: Mapping[str, Any]) -> Json:
    """Seal the tokens of a document.

    Args:
        sealer: What seals them.
        document: The document as it would be stored.
        before: The document it takes the place of.

    Raises:
        Problem: If a token looks as if it were sealed, and was not there before.
    """
    steps = document.get("steps")
    if not isinstance(steps, list) or not any(map(_is_webhook, steps)):
        return document
    known = {
        step["step_id"]: step["token"]
        for step in before.get("steps", [])
        if _is_webhook(step) and step.get("token")
    }
    written = [_sealed(sealer, at, step, known) for at, step in enumerate(steps)]
    return {**document, "steps": written}


def shown(steps: Iterable[Json]) -> list[Json]:
    """Give steps as they are shown: of a token only that there is one."""
    return [_shown(step) if _is_webhook(step) else step for step in steps]


def _sealed(sealer: Sealer, at: int, step: Any, known: Mapping[str, str]) -> Any:
    if not _is_webhook(step):
        return step
    token = step.get("token")
    old = known.get(str(step.get("step_id")))
    without = {name: value for name, value in step.items() if name != "token_set"}
    if step.get("token_set") and not token:
        return {**without, "token": old} if old else without
    if not isinstance(token, str) or token == old:
        return without
    if token.startswith(PREFIX):
        raise invalid(f"steps.{at}.token", f"a token does not begin with {PREFIX}")
    return {**without, "token": sealer.seal(token)}


def _shown(step: Json) -> Json:
    without = {name: value for name, value in step.items() if name != "token"}
    return {**without, "token_set": True} if step.get("token") else without


def _is_webhook(step: Any) -> bool:
    return isinstance(step, Mapping) and step.get("type") == "send_webhook"
