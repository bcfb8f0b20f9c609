"""The API as its callers see it, on a running stack."""

from collections.abc import Iterator

import httpx
import pytest

from libs.local.stack import Stack


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as client:
        yield client
