"""Connections to what a name stood for when it was judged, and to nothing else."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore

from libs.domain.webhook_url import Allowed, UrlRefused, judge_address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_ADDRESSES_TRIED = 3


class Resolver:
    """Asks the system, in threads of its own: a name server that hangs holds up nobody else."""

    def __init__(self, at_once: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="webhook-names")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Give the addresses of a host, each once."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    async def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Looks names up itself, judges what they stand for, and connects to that very address.

    What is said over the connection (the header `Host`, the name that TLS asks for and checks)
    stays the name.
    """

    def __init__(self, resolve: Resolve, allowed: Allowed) -> None:
        self._resolve = resolve
        self._allowed = allowed
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the library's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the addresses of a host that may be called.

        Raises:
            UrlRefused: If there is none.
        """
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"name not found: {type(error).__name__}") from error
        trouble: Exception = httpcore.ConnectError("no address")
        for address in self._judged(host, addresses):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble

    def _judged(self, host: str, addresses: Sequence[str]) -> list[str]:
        """Give those that may be called.

        Raises:
            UrlRefused: If there are addresses and none of them may.
        """
        good: list[str] = []
        refusal: UrlRefused | None = None
        for address in addresses:
            try:
                judge_address(address, host, self._allowed)
            except UrlRefused as error:
                refusal = error
            else:
                good.append(address)
        if refusal is not None and not good:
            raise refusal
        return good[:_ADDRESSES_TRIED]
