"""Which addresses a webhook may go to: public ones, by http or https, and what an operator allows.

A user names the address, and our own network is where it is called from. So it is judged twice:
as it is written (`judge_url`), and again as what its name turns out to stand for, at the moment of
connecting (`judge_address`): a name may stand for another address by then.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import quote, urlsplit

MAX_URL_CHARACTERS = 2048

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network
_PORTS = {"http": 80, "https": 443}
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029]")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))+")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST_NAME = 253
_INWARD = ("localhost", "localdomain", "local", "internal", "home.arpa")
"""Names below these never stand for anything public (cloud metadata: metadata.google.internal)."""
_NOT_PUBLIC = tuple(
    ip_network(one)
    for one in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
        "192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 "
        "192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
        "168.63.129.16/32 "
        "::/8 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 "
        "5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8"
    ).split()
)
"""The special-purpose registries of IANA, and the address at which Azure serves its metadata."""
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
_IPV4_INSIDE = IPv6Network("::/96")


class UrlRefused(ValueError):  # noqa: N818  (the user's mistake, or somebody's intent)
    """A webhook may not go there. The message is a fixed word, without the address."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an operator allows although it is not public: nothing, as long as nobody says so."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Allowed":
        """Read host names, addresses and networks (`10.1.0.0/16`)."""
        hosts: set[str] = set()
        networks: list[_Network] = []
        for entry in filter(None, (one.strip().lower() for one in entries)):
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry.rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def holds(self, address: _Address) -> bool:
        """Say whether an address is in an allowed network."""
        return any(address in one for one in self.networks if one.version == address.version)


NOTHING = Allowed()


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """An address that was judged.

    Attributes:
        host: A name in lower case and ASCII, or an IP address without brackets.
        path: Path and query as they are asked for.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port as the header `Host` says them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """What is up or down as one: host and port."""
        return f"{self.host}:{self.port}"


def judge_url(url: str, allowed: Allowed = NOTHING) -> WebhookUrl:
    """Judge an address as it is written.

    Raises:
        UrlRefused: If nothing may be sent there.
    """
    read = read_url(url)
    if read.host not in allowed.hosts:
        _judge_host(read.host, allowed)
    return read


def read_url(url: str) -> WebhookUrl:
    """Take an address apart, without judging where it leads.

    Raises:
        UrlRefused: If it is no address for http, or says more than that.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise UrlRefused("url_too_long")
    if _NOT_IN_A_URL.search(url):
        raise UrlRefused("url_malformed")
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname
    except ValueError:
        raise UrlRefused("url_malformed") from None
    if parts.scheme not in _PORTS:
        raise UrlRefused("url_not_http")
    if "@" in parts.netloc:
        raise UrlRefused("url_with_credentials")
    if not name or port == 0:
        raise UrlRefused("url_malformed")
    path = quote(parts.path or "/", safe="/:;=@!$&'()*+,%~")
    query = quote(parts.query, safe="/:;=@!$&'()*+,%~?[]")
    whole = f"{path}?{query}" if query else path
    return WebhookUrl(parts.scheme, _ascii(name), port or _PORTS[parts.scheme], whole)


def judge_address(address: str, host: str = "", allowed: Allowed = NOTHING) -> None:
    """Judge what a host name stands for.

    Args:
        address: An IP address, in whatever form.
        host: The name it was found under.
        allowed: What an operator allows.

    Raises:
        UrlRefused: If it is not public and nobody allows it.
    """
    if host in allowed.hosts:
        return
    try:
        found = ip_address(address)
    except ValueError:
        raise UrlRefused("address_malformed") from None
    meant = _meant(found)
    if allowed.holds(meant) or allowed.holds(found):
        return
    if not meant.is_global or meant.is_multicast or any(meant in one for one in _in(meant)):
        raise UrlRefused("address_not_public")


def _in(address: _Address) -> list[_Network]:
    return [one for one in _NOT_PUBLIC if one.version == address.version]


def _meant(address: _Address) -> _Address:
    """Give the IPv4 address inside an IPv6 one: mapped, compatible, translated, 6to4."""
    if isinstance(address, IPv4Address):
        return address
    packed = address.packed
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4:
        return IPv4Address(packed[2:6])
    if address in _NAT64 or (address in _IPV4_INSIDE and int(address) > 1):
        return IPv4Address(packed[12:])
    return address


def _judge_host(host: str, allowed: Allowed) -> None:
    try:
        ip_address(host)
    except ValueError:
        _judge_name(host)
    else:
        judge_address(host, host, allowed)


def _judge_name(host: str) -> None:
    """Judge a name.

    What ends in a number is an address in a form that not everybody reads alike (`0x7f.1`).
    """
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise UrlRefused("address_malformed")
    if any(host == one or host.endswith(f".{one}") for one in _INWARD):
        raise UrlRefused("host_not_public")
    if "." not in host:
        raise UrlRefused("host_not_public")
    if len(host) > _LONGEST_NAME or not _NAME.fullmatch(host):
        raise UrlRefused("url_malformed")


def _ascii(name: str) -> str:
    """Write a host as it is looked up. Only then is it judged: `①` is a digit as well."""
    if ":" in name:
        if "%" in name:
            raise UrlRefused("url_malformed")
        return name.lower()
    try:
        written = name.encode("idna").decode().lower()
    except UnicodeError:
        raise UrlRefused("url_malformed") from None
    return written.removesuffix(".")
