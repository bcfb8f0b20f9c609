"""Where a webhook may go."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.webhook_url import NOTHING, Allowed, UrlRefused, judge_address, judge_url

PRIVATE = [
    "0.0.0.1", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255",
    "192.0.0.192", "192.168.1.1", "198.18.0.1", "198.19.255.255", "192.0.2.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "168.63.129.16",
    "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "febf::1", "fec0::1", "ff02::1",
    "2001:db8::1", "100::1", "64:ff9b:1::1", "2001::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1",
    "169.253.1.1", "192.169.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
]  # fmt: skip
PRIVATE_V4 = st.sampled_from([one for one in PRIVATE if "." in one]).map(IPv4Address)
EVERY_V4 = st.integers(0, 2**32 - 1).map(IPv4Address)


def inside(address: IPv4Address) -> list[str]:
    """Write an IPv4 address in every form in which IPv6 carries one."""
    number = int(address)
    return [
        f"::ffff:{address}",
        str(IPv6Address((0xFFFF << 32) | number)),
        str(IPv6Address((0x64FF9B << 96) | number)),
        str(IPv6Address((0x2002 << 112) | (number << 80) | 1)),
    ]


def refused(url: str, allowed: Allowed = NOTHING) -> str | None:
    try:
        judge_url(url, allowed)
    except UrlRefused as error:
        return str(error)
    return None


def is_refused(address: str, host: str = "", allowed: Allowed = NOTHING) -> bool:
    try:
        judge_address(address, host, allowed)
    except UrlRefused:
        return True
    return False


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused_as_written_and_as_found(address: str) -> None:
    assert is_refused(address)
    host = f"[{address}]" if ":" in address else address
    for url in (f"http://{host}/", f"https://{host}:8443/x?y=z"):
        assert refused(url) == "address_not_public"


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_passes(address: str) -> None:
    assert not is_refused(address)
    host = f"[{address}]" if ":" in address else address
    assert judge_url(f"http://{host}/").host == address


@given(PRIVATE_V4)
def test_an_ipv6_form_of_an_address_is_judged_as_the_address(address: IPv4Address) -> None:
    for form in inside(address):
        assert is_refused(form), form
        assert refused(f"http://[{form}]/") == "address_not_public"


@given(EVERY_V4)
def test_no_form_of_an_address_passes_unless_the_address_does(address: IPv4Address) -> None:
    plain = is_refused(str(address))
    assert plain or address.is_global
    for form in inside(address):
        assert is_refused(form) == plain or int(address) == 0


@given(EVERY_V4)
def test_odd_ways_to_write_an_address_are_refused(address: IPv4Address) -> None:
    """Resolvers read them as addresses, parsers as names."""
    a, b, c, d = address.packed
    odd = [
        str(int(address)), hex(int(address)), f"{a}.{(b << 16) | (c << 8) | d}",
        f"{a}.{b}.{(c << 8) | d}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a}.{b}.{c}.{d}.1", f"a.{d}",
    ]  # fmt: skip
    for host in odd:
        assert refused(f"http://{host}/") is not None, host


@given(st.text(max_size=60))
def test_any_text_is_judged_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{text}/", f"https://a.example/{text}"):
        try:
            read = judge_url(url)
        except UrlRefused:
            continue
        assert read.host.isascii()
        assert (read.path + read.authority).isprintable()
        assert " " not in read.path
        assert read.path.isascii()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "url_not_http"),
        ("hooks.example/x", "url_not_http"),
        ("ftp://hooks.example/x", "url_not_http"),
        ("file:///etc/passwd", "url_not_http"),
        ("gopher://hooks.example/", "url_not_http"),
        ("http://user:secret@hooks.example/", "url_with_credentials"),
        ("http://user@hooks.example/", "url_with_credentials"),
        ("http://@hooks.example/", "url_with_credentials"),
        ("http://hooks.example\\@127.0.0.1/", "url_malformed"),
        ("http://hooks.example/\r\nX: y", "url_malformed"),
        ("http://hooks.example/a b", "url_malformed"),
        ("http:///x", "url_malformed"),
        ("http://hooks.example:99999/", "url_malformed"),
        ("http://hooks.example:0/", "url_malformed"),
        ("http://[::1", "url_malformed"),
        ("http://[fe80::1%25eth0]/", "url_malformed"),
        ("http://-a.example/", "url_malformed"),
        ("http://localhost/", "host_not_public"),
        ("http://LOCALHOST./", "host_not_public"),
        ("http://x.localhost:8080/", "host_not_public"),
        ("http://metadata.google.internal/computeMetadata/v1/", "host_not_public"),
        ("http://printer.local/", "host_not_public"),
        ("http://intranet/", "host_not_public"),
        ("http://①②⑦.⓪.⓪.①/", "address_not_public"),
        ("http://169。254。169。254/", "address_not_public"),
        ("http://127.0.0.1./", "address_not_public"),
        (f"http://hooks.example/{2100 * 'x'}", "url_too_long"),
    ],
)
def test_what_is_refused_and_why(url: str, reason: str) -> None:
    assert refused(url) == reason


def test_an_address_is_taken_apart() -> None:
    read = judge_url("HTTPS://Hooks.Example:443/in/ü?a=1&b=%20#part")
    assert (read.scheme, read.host, read.port) == ("https", "hooks.example", 443)
    assert (read.path, read.authority) == ("/in/%C3%BC?a=1&b=%20", "hooks.example")
    assert read.target == "hooks.example:443"
    assert judge_url("http://hooks.example:8080").path == "/"
    assert judge_url("http://hooks.example:8080").authority == "hooks.example:8080"
    assert judge_url("http://[2606:4700::1111]:81/").authority == "[2606:4700::1111]:81"
    assert judge_url("https://bücher.example/").host == "xn--bcher-kva.example"


def test_only_what_an_operator_names_is_allowed_besides() -> None:
    allowed = Allowed.of(["127.0.0.0/8", " ::1", "10.1.2.3", "Hooks.Internal", ""])
    assert refused("http://127.0.0.1:8080/", allowed) is None
    assert refused("http://[::1]/", allowed) is None
    assert refused("http://[::ffff:127.0.0.1]/", allowed) is None
    assert refused("http://10.1.2.3/", allowed) is None
    assert refused("http://10.1.2.4/", allowed) == "address_not_public"
    assert refused("http://hooks.internal/", allowed) is None
    assert refused("http://other.internal/", allowed) == "host_not_public"
    assert refused("http://localhost/", allowed) == "host_not_public"
    assert not is_refused("10.9.9.9", "hooks.internal", allowed)
    assert is_refused("10.9.9.9", "hooks.example", allowed)


def test_every_network_that_is_not_global_is_refused_at_both_ends() -> None:
    for address in PRIVATE:
        found = ipaddress.ip_address(address)
        assert not found.is_global or found.is_multicast or is_refused(address)
