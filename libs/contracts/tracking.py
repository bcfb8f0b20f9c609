"""Links in mails: what the executor writes into them and the API reads back, signed.

A token says which mail of which contact a link belongs to; nobody without the signing key can make
or change one. Paths, below the API's public address:

`/t/o/{token}`  the open pixel
`/t/c/{token}`  a click: redirects to the token's `url`
`/t/u/{token}`  unsubscribe: GET shows a button, POST does it (RFC 8058 one-click)
"""

import hmac
import json
import zlib
from functools import lru_cache
from typing import Any, Literal, get_args
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_encode
from pydantic import BaseModel, ConfigDict, ValidationError

Purpose = Literal["o", "c", "u"]

_WORTH_COMPRESSING = 600
"""Below so many characters, compressing costs more time than the bytes are worth."""


class TrackedMail(BaseModel):
    """Whose mail it is, and which one."""

    model_config = ConfigDict(frozen=True)

    workspace_id: UUID
    contact_id: UUID
    email_id: UUID
    membership_id: UUID
    step_id: str
    message_id: str
    url: str | None = None


class BadToken(Exception):  # noqa: N818  (the caller's fault, not the program's)
    """The token was not made here, or not for this purpose."""


class MailSigner:
    """Makes the tokens of one mail's links; what they have in common is written once."""

    def __init__(self, mail: TrackedMail, keys: dict[Purpose, bytes]) -> None:
        common = (mail.workspace_id, mail.contact_id, mail.email_id, mail.membership_id)
        named = json.dumps([mail.step_id, mail.message_id], separators=(",", ":"))
        self._start = '["{}","{}","{}","{}",'.format(*common) + named[1:-1] + ","
        self._keys = keys

    def sign(self, purpose: Purpose, url: str | None = None) -> str:
        """Make a token as itsdangerous' URLSafeSerializer would, in a quarter of the time."""
        content = f"{self._start}{json.dumps(url)}]".encode()
        payload = base64_encode(content)
        if len(content) > _WORTH_COMPRESSING:
            payload = min(payload, b"." + base64_encode(zlib.compress(content)), key=len)
        signature = base64_encode(hmac.digest(self._keys[purpose], payload, "sha1"))
        return f"{payload.decode()}.{signature.decode()}"


class Signer:
    """Makes tokens with one key, from which the key of each purpose is derived once."""

    def __init__(self, key: str) -> None:
        purposes: tuple[Purpose, ...] = get_args(Purpose)
        self._keys = {
            purpose: _serializer(purpose, key).make_signer().derive_key() for purpose in purposes
        }

    def of(self, mail: TrackedMail) -> MailSigner:
        """Begin to sign the links of a mail."""
        return MailSigner(mail, self._keys)


def sign(mail: TrackedMail, purpose: Purpose, key: str) -> str:
    """Make the token of a link."""
    return Signer(key).of(mail).sign(purpose, mail.url)


def read(token: str, purpose: Purpose, key: str) -> TrackedMail:
    """Read a token back.

    Raises:
        BadToken: If it was not signed with this key for this purpose.
    """
    try:
        values: list[Any] = _serializer(purpose, key).loads(token)
        return TrackedMail.model_validate(dict(zip(TrackedMail.model_fields, values, strict=True)))
    except (BadSignature, ValidationError, ValueError, TypeError) as error:
        raise BadToken("this link is not valid") from error


@lru_cache(maxsize=64)
def _serializer(purpose: Purpose, key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=f"millrace.tracking.{purpose}")
