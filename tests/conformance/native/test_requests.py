"""What no request may hold, and what every answer has."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.local.stack import Stack

BODIES = {
    "/v1/email-flows": {"name": "n"},
    "/v1/emails": {"name": "n"},
    "/v1/lists": {"name": "n"},
    "/v1/custom-fields": {"name": "n", "api_name": "n", "type": "text"},
}


def issue(answer: httpx.Response) -> tuple[int, str, str]:
    told = answer.json()
    return answer.status_code, told["error_code"], told["details"]["issues"][0]["path"]


@pytest.mark.parametrize("path", BODIES)
def test_text_that_postgres_cannot_hold_is_refused(api: httpx.Client, path: str) -> None:
    answer = api.post(path, json={**BODIES[path], "name": "a\0b"})
    assert issue(answer) == (400, "invalid_request", "name")


@pytest.mark.parametrize("value", [r'"\u0000"', r'"\ud800"', "NaN", "1e999", '{"\\u0000": 1}'])
def test_settings_come_back_or_are_refused(api: httpx.Client, value: str) -> None:
    content = f'{{"name": "n", "settings": {{"x": {value}}}}}'
    headers = {"Content-Type": "application/json"}
    answer = api.post("/v1/email-flows", content=content.encode(), headers=headers)
    assert issue(answer) == (400, "invalid_request", "settings.x")


def test_addresses_are_checked_too(api: httpx.Client) -> None:
    assert issue(api.get("/v1/email-flows?search=a%00b")) == (400, "invalid_request", "search")
    for page in (0, 10**12):
        answer = api.get("/v1/email-flows", params={"page": page})
        assert issue(answer) == (400, "invalid_request", "page")


def test_large_bodies_are_refused(api: httpx.Client) -> None:
    big: dict[str, Any] = {"name": "n", "html": "x" * 1_500_000}
    assert api.post("/v1/emails", json=big).status_code == 201
    answer = api.post("/v1/email-flows", json=big)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "request_too_large")


def test_every_answer_has_an_id(api: httpx.Client) -> None:
    paths = ("/v1/email-flows", f"/v1/emails/{uuid4()}", "/v1/lists/x", "/nowhere")
    ids = {api.get(path).headers["X-Request-Id"] for path in paths}
    assert len(ids) == len(paths)


def test_the_api_documents_itself(api: httpx.Client, stack: Stack) -> None:
    assert api.get("/docs").status_code == 200
    paths = api.get("/openapi.json").json()["paths"]
    assert "/v1/email-flows/{flow_id}/activate" in paths
    for name, port in stack.ports.items():
        if name in stack.services:
            described = httpx.get(f"http://127.0.0.1:{port}/asyncapi.json").json()
            assert described["channels"], name
            assert "millrace_batches_total" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
