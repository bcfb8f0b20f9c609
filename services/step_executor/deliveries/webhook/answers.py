"""What the answer of an address means, and when to ask again. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Outcome = Literal["sent", "failed", "retry", "unreachable", "ambiguous", "withdrawn"]
RETRY_SECONDS = (60.0, 300.0, 900.0, 2400.0)
"""After the first, second, ... attempt: five in all, in a little more than an hour."""
LONGEST_RETRY_SECONDS = 3600.0

_AGAIN = frozenset({408, 425, 429})
_BUSY = frozenset({429, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended.

    `sent`: it was taken.
    `failed`: it was refused for good, or must not be made.
    `retry`: it was refused for now.
    `unreachable`: nothing was handed over: no connection could be made.
    `ambiguous`: it was handed over, in part or whole, and no answer came.
    `withdrawn`: it was called back before anything was handed over.

    Attributes:
        retry_after: How many seconds the address asks to be left alone.
        busy: Whether others would meet the same there at the moment.
    """

    outcome: Outcome
    reason: str | None = None
    retry_after: float | None = None
    busy: bool = False


def answer_of(status: int, retry_after: str | None, now: datetime) -> Answer:
    """Say what an answer means: 2xx is yes, some others are for now, all the rest is for good."""
    if 200 <= status < 300:  # noqa: PLR2004  (RFC 9110, 15.3: 2xx is yes)
        return Answer("sent", str(status))
    if status in _AGAIN or 500 <= status < 600:  # noqa: PLR2004  (RFC 9110, 15.6: 5xx is theirs)
        wait = seconds_asked_for(retry_after, now)
        return Answer("retry", str(status), wait, busy=status in _BUSY)
    return Answer("failed", str(status))


def seconds_asked_for(retry_after: str | None, now: datetime) -> float | None:
    """Read the header `Retry-After`: seconds, or an instant; None if it is neither."""
    asked = (retry_after or "").strip()
    if _SECONDS.fullmatch(asked):
        return float(asked)
    try:
        at = parsedate_to_datetime(asked)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def retry_seconds(attempt: int, retry_after: float | None) -> float | None:
    """Say how long to wait after an attempt (numbered from 1); None if it was the last.

    What the address asks for is obeyed, up to a limit; it shortens no wait, or all attempts would
    be spent in seconds.
    """
    if attempt > len(RETRY_SECONDS):
        return None
    return max(RETRY_SECONDS[attempt - 1], min(retry_after or 0.0, LONGEST_RETRY_SECONDS))
