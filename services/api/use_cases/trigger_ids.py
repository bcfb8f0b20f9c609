"""Names for triggers that were given none."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]
_CHARACTERS = 16


def with_ids(triggers: Iterable[Json]) -> Iterator[Json]:
    """Name each trigger after what it says.

    So it keeps its name wherever in the list it stands, and one that says something else is another
    trigger: what it has caused, and what another has, is never mixed up.
    """
    seen: Counter[str] = Counter()
    for trigger in triggers:
        written = json.dumps(trigger, sort_keys=True, default=str).encode()
        name = hashlib.sha256(written).hexdigest()[:_CHARACTERS]
        seen[name] += 1
        own = name if seen[name] == 1 else f"{name}-{seen[name]}"
        yield {**trigger, "trigger_id": trigger.get("trigger_id") or own}
