"""A webhook's payload as it is handed over."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RenderedWebhook:
    """What is told, as JSON, whatever method it is then told by."""

    payload: bytes
