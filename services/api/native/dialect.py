"""The native dialect, as the rest of the API knows it."""

from services.api.native.compile import compile_document
from services.api.native.render import NAME, render
from services.api.use_cases.dialects import Dialect

NATIVE = Dialect(
    NAME, "/v1/email-flows", 1, compile_document, render=render, webhook_url="endpoint_url"
)
"""Flows written through `/v1/email-flows`."""
