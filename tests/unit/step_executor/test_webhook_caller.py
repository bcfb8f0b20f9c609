"""Calling an address: to which one, under which name."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.domain.webhook_url import Allowed, read_url
from services.step_executor.deliveries.webhook.answers import Answer
from services.step_executor.deliveries.webhook.caller import Call, Caller
from services.step_executor.deliveries.webhook.pinned_network import PinnedNetwork, Resolver
from tests.support.http_server import HttpServerFake, http_server

IDENTITY = Path(__file__).parents[2] / "support" / "hooks_example.pem"
"""A key and a certificate for `hooks.example`, made for these tests alone."""


class Names:
    """What names stand for, and what was looked up."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses or ("127.0.0.1",)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return list(self.addresses)


@asynccontextmanager
async def a_caller(names: Names, allowed: str = "127.0.0.0/8") -> AsyncIterator[Caller]:
    network = PinnedNetwork(names.resolve, Allowed.of([allowed]))
    caller = Caller(network, 5.0, ssl.create_default_context(cafile=str(IDENTITY)))
    yield caller
    await caller.close()


async def yes() -> bool:
    return True


def to(url: str) -> Call:
    read = read_url(url)
    return Call("post", read, read.path, (("X-Own", "1"),), b"{}")


@pytest.fixture
async def secured() -> AsyncIterator[tuple[HttpServerFake, list[str]]]:
    """A server that shows a certificate, and the names it was asked for."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(IDENTITY)
    asked: list[str] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    async with http_server(tls=context) as fake:
        yield fake, asked


async def test_over_tls_the_name_is_asked_for_and_checked_though_the_address_is_pinned(
    secured: tuple[HttpServerFake, list[str]],
) -> None:
    server, asked = secured
    names = Names()
    async with a_caller(names) as caller:
        answer = await caller.call(to(f"https://hooks.example:{server.port}/in"), yes)
    assert answer == Answer("sent", "200")
    assert asked == ["hooks.example"]
    assert names.asked == [("hooks.example", server.port)], "looked up once"
    assert server.requests[0].headers["host"] == f"hooks.example:{server.port}"
    assert server.requests[0].headers["x-own"] == "1"


async def test_nothing_is_said_to_whoever_shows_anothers_certificate(
    secured: tuple[HttpServerFake, list[str]],
) -> None:
    server, _ = secured
    async with a_caller(Names()) as caller:
        answer = await caller.call(to(f"https://other.example:{server.port}/in"), yes)
    assert answer.outcome == "unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in (answer.reason or "")
    assert server.requests == []


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async with http_server() as server, a_caller(Names("127.0.0.2", "127.0.0.1")) as caller:
        answer = await caller.call(to(f"http://hooks.example:{server.port}/"), yes)
        assert answer.outcome == "sent"


async def test_what_is_refused_is_never_connected_to() -> None:
    async with http_server() as server, a_caller(Names(), allowed="10.0.0.1") as caller:
        answer = await caller.call(to(f"http://hooks.example:{server.port}/"), yes)
        assert answer == Answer("failed", "address_not_public")
        assert server.connections == 0


async def test_a_name_that_stands_for_nothing_is_unreachable() -> None:
    resolver = Resolver(1)
    caller = Caller(PinnedNetwork(resolver.resolve, Allowed()), 5.0)
    answer = await caller.call(to("http://nothing.invalid/"), yes)
    assert answer.outcome == "unreachable"
    await caller.close()
    await resolver.close()


async def test_the_system_is_asked_for_names() -> None:
    resolver = Resolver(1)
    assert "127.0.0.1" in await resolver.resolve("localhost", 80)
    await resolver.close()


async def test_a_header_that_is_none_is_not_said() -> None:
    async with http_server() as server, a_caller(Names()) as caller:
        url = read_url(f"http://hooks.example:{server.port}/")
        bad = Call("post", url, url.path, (("X-Own", "a\r\nX-Other: b"),))
        assert await caller.call(bad, yes) == Answer("failed", "request_malformed")
        assert server.requests == []


async def test_what_a_call_holds_is_not_shown() -> None:
    url = read_url("https://hooks.example/secret-path")
    call = Call("post", url, url.path, (("Authorization", "Bearer geheim"),), b"geheim")
    assert "geheim" not in repr(call)
    assert "secret-path" not in repr(call)
