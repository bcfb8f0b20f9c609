"""Sealing: secrets of users that are kept, and read again only where they are used.

A sealed text says so itself, so that nothing is sealed twice and nobody takes one for a secret.
"""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX = "sealed:"
_KEY_BYTES = 32


class CannotUnseal(Exception):  # noqa: N818  (the key is another one, or the text was tampered with)
    """The text was sealed with another key, or has been changed since."""


class Sealer:
    """Seals and unseals with a key derived from a secret that the services share."""

    def __init__(self, secret: str, purpose: str) -> None:
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=purpose.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived.derive(secret.encode())))

    def seal(self, text: str) -> str:
        """Seal a text; each time it looks different."""
        return PREFIX + self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Give a sealed text back; one that was never sealed comes back as it is.

        Raises:
            CannotUnseal: If it was sealed with another key, or has been changed.
        """
        if not sealed.startswith(PREFIX):
            return sealed
        try:
            return self._fernet.decrypt(sealed.removeprefix(PREFIX).encode()).decode()
        except InvalidToken as error:
            raise CannotUnseal from error


def webhook_tokens(secret: str) -> Sealer:
    """Give what seals the bearer tokens of webhooks."""
    return Sealer(secret, "millrace webhook tokens")
