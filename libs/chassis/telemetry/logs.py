"""Structured logs: lines for people on a console, JSON for machines.

Events are dotted and fixed (`batch.committed`); ids are fields, never part of the text. What is
bound with `structlog.contextvars.bind_contextvars` (a request's or a batch's correlation id) goes
with every line.
"""

import logging
from typing import Any

import structlog
from structlog.typing import Processor

_NOISY = ("aiokafka", "faststream", "uvicorn", "httpx", "asyncio")


def configure_logs(service: str, log_format: str, level: str) -> None:
    """Set up logging for this process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without local variables: those hold keys and whole requests, and are huge.
    renderer: Processor = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    if log_format == "json":
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared.append(structlog.processors.ExceptionRenderer(plain))
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(shared, renderer, level)
    structlog.contextvars.bind_contextvars(service=service)


class _Sparing(logging.Filter):
    """Lets a library say the same thing once in a while: in an outage they say it without end."""

    def __init__(self, every_seconds: float = 10.0) -> None:
        super().__init__()
        self._every = every_seconds
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass what was not said for a while, and everything that is ours."""
        if not record.name.startswith(_NOISY):
            return True
        told = (record.name, str(record.msg))
        if record.created - self._said.get(told, 0.0) < self._every:
            return False
        self._said[told] = record.created
        return True


def _route_standard_logging(shared: list[Processor], renderer: Processor, level: str) -> None:
    """Send what libraries log through the same pipe; theirs only from warnings up."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    handler.addFilter(_Sparing())
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def logger(name: str) -> Any:
    """Give a logger; the name says which module speaks."""
    return structlog.stdlib.get_logger(module=name)
