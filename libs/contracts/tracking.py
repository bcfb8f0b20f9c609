"""Links in mails: what the executor writes into them and the API reads back, signed.

A token says which mail of which contact a link belongs to; nobody without the signing key can make
or change one. Paths, below the API's public address:

`/t/o/{token}`  the open pixel
`/t/c/{token}`  a click: redirects to the token's `url`
`/t/u/{token}`  unsubscribe: GET shows a button, POST does it (RFC 8058 one-click)
"""

from typing import Any, Literal
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, ValidationError

Purpose = Literal["o", "c", "u"]


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


def sign(mail: TrackedMail, purpose: Purpose, key: str) -> str:
    """Make the token of a link."""
    return str(_serializer(purpose, key).dumps(list(mail.model_dump(mode="json").values())))


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


def _serializer(purpose: Purpose, key: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=f"millrace.tracking.{purpose}")
