"""Mail addresses, from what people typed to what SMTP says.

The domain is written in ASCII (`info@xn--mnchen-3ya.de`), so every server can take it. A local part
beyond ASCII has no such form: it stays, and needs a server that knows SMTPUTF8.
"""

import re
import unicodedata

import idna

from services.step_executor.store.rendered_mail import CannotCompose

_LONGEST = 320
_SHOWN = 80
_PLAIN = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]++(?:\.[\w!#$%&'*+/=?^`{|}~-]++)*+", re.ASCII)
_LOOSE = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]++", re.ASCII)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_SPECIAL = frozenset('()<>[]:;@\\," ')
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+|\[[0-9A-Za-z:.]{{2,80}}\]")
_LONGEST_DOMAIN = 255


def mailbox(written: str) -> str:
    """Give an address the form in which SMTP and headers carry it.

    Raises:
        CannotCompose: If it cannot be an address.
    """
    address = written.strip(" ")
    if len(address) > _LONGEST:
        raise _no_address(address, f"over {_LONGEST} characters")
    local, at, domain = address.rpartition("@")
    if not at:
        raise _no_address(address, "no @")
    if not address.isprintable():
        raise _no_address(address, "control characters")
    return f"{_local_part(local, address)}@{_domain(domain, address)}"


def _local_part(local: str, address: str) -> str:
    """Leave it as it is, except for dots where only quotes allow them (`a..b@docomo.ne.jp`)."""
    if _PLAIN.fullmatch(local) or _QUOTED.fullmatch(local):
        return local
    if _LOOSE.fullmatch(local):
        return f'"{local}"'
    if not local:
        raise _no_address(address, "nothing before the @")
    if special := sorted(_SPECIAL.intersection(local)):
        named = {"@": "two @", " ": "spaces"}.get(special[0], f"has {special[0]}")
        raise _no_address(address, named)
    if local.isascii():
        raise _no_address(address, "quotes")
    return unicodedata.normalize("NFC", local)


def _domain(domain: str, address: str) -> str:
    try:
        name = domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except (UnicodeError, ValueError, IndexError) as error:
        raise _no_address(address, f"domain: {error}") from error
    if len(name) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(name):
        raise _no_address(address, "domain")
    return name


def _no_address(address: str, reason: str) -> CannotCompose:
    shown = address if len(address) <= _SHOWN else f"{address[:_SHOWN]}..."
    return CannotCompose(f"no_address: {shown!r}: {reason}")
