"""What every request passes before a route sees it, and what is told when one fails."""

import io
import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from libs.chassis.telemetry.logs import configure_logs
from services.api.http import problems
from services.api.http.bodies import fault_of, readable
from services.api.http.middleware import RequestMiddleware, limit_for
from services.api.native import phrasing
from services.api.use_cases.problems import Problem

KEY = "millrace_a-key-that-must-not-be-logged"
MIB = 1024 * 1024


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as lines for machines."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    configure_logs("api", "json", "info")
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers[:] = kept
    root.setLevel(level)


@pytest.fixture
async def caller() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI(dependencies=[Depends(readable)])
    problems.install(app, phrasing.body_of)

    @app.post("/v1/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    @app.get("/v1/fault")
    async def fault(request: Request) -> None:
        secret = request.headers["authorization"]
        raise RuntimeError("a fault", len(secret))

    @app.get("/v1/outage")
    async def outage() -> None:
        raise ConnectionRefusedError

    @app.get("/v1/problem")
    async def problem() -> None:
        raise Problem("conflict", "some_code", "A sentence", {"more": 1})

    transport = httpx.ASGITransport(RequestMiddleware(app, phrasing.body_of))
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield client


@pytest.mark.parametrize("value", ["", "plain", "Zoë 𝄞", 1, 1.5, None, True, "\n\t"])
def test_what_can_be_stored_passes(value: object) -> None:
    assert fault_of(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a\0b", "NUL"), ("ü\0", "NUL"), ("\ud800", "half"),
        (float("nan"), "finite"), (float("-inf"), "finite"),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named(value: object, said: str) -> None:
    assert said in (fault_of(value) or "")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (rb'{"a": {"b": [1, "x\u0000"]}}', "a.b.1"),
        (rb'{"a": {"b\u0000": 1}}', "a"),
        (rb'{"a": "\ud800"}', "a"),
        (b'{"a": NaN}', "a"),
        (b'{"a": 1e999}', "a"),
        (rb'"\u0000"', "body"),
        (b'{"a": ' + b"[" * 500 + rb'"\u0000"' + b"]" * 500 + b"}", "a" + ".0" * 500),
    ],
)
async def test_bodies_nobody_could_store_are_refused(
    caller: httpx.AsyncClient, body: bytes, path: str
) -> None:
    answer = await caller.post("/v1/echo", content=body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "invalid_request"
    assert answer.json()["details"]["issues"][0]["path"] == path


async def test_addresses_hold_no_nul(caller: httpx.AsyncClient) -> None:
    answer = await caller.get("/v1/problem?search=a%00b")
    assert answer.json()["details"]["issues"][0]["path"] == "search"


async def test_a_body_that_is_no_json_is_the_route_s_business(caller: httpx.AsyncClient) -> None:
    assert (await caller.post("/v1/echo", content=b"{")).json() == 1
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await caller.post("/v1/echo", content=b"\0", headers=form)).json() == 1


def test_mails_may_be_larger_than_anything_else() -> None:
    assert limit_for("/v1/emails/1") == 4 * MIB
    assert limit_for("/v1/email-flows") == MIB


async def test_large_bodies_are_refused_announced_or_not(caller: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (MIB // 2)

    for content in (b" " * (MIB + 1), parts()):
        answer = await caller.post("/v1/echo", content=content)
        assert (answer.status_code, answer.json()["error_code"]) == (413, "request_too_large")
        assert answer.headers["X-Request-Id"]
    assert (await caller.post("/v1/echo", content=b" " * MIB)).json() == MIB


async def test_every_answer_has_an_id_of_its_own(caller: httpx.AsyncClient) -> None:
    paths = ("/v1/problem", "/v1/fault", "/v1/outage", "/v1/nowhere")
    assert len({(await caller.get(path)).headers["X-Request-Id"] for path in paths}) == len(paths)


async def test_problems_become_the_error_body(caller: httpx.AsyncClient) -> None:
    answer = await caller.get("/v1/problem")
    told = {"error": "A sentence", "error_code": "some_code", "details": {"more": 1}}
    assert (answer.status_code, answer.json()) == (409, told)


async def test_an_outage_may_be_tried_again(caller: httpx.AsyncClient, log: io.StringIO) -> None:
    answer = await caller.get("/v1/outage")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "temporarily_unavailable")
    assert answer.headers["Retry-After"]
    assert "request.retried" in log.getvalue()
    assert "Traceback" not in log.getvalue()


async def test_a_fault_is_logged_without_the_caller_s_key(
    caller: httpx.AsyncClient, log: io.StringIO
) -> None:
    answer = await caller.get("/v1/fault")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "internal_error")
    assert "request.failed" in log.getvalue()
    assert "RuntimeError" in log.getvalue()
    assert answer.headers["X-Request-Id"] in log.getvalue()
    assert KEY not in log.getvalue()


def test_the_console_shows_no_keys_either() -> None:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    configure_logs("api", "console", "info")
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    try:
        _fail(KEY)
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    assert "a fault" in written.getvalue()
    assert KEY not in written.getvalue()


def _fail(key: str) -> None:
    raise RuntimeError("a fault", len(key))
