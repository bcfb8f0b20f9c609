"""A mail as it is handed over, and the word for one that cannot be written."""

from dataclasses import dataclass

MAX_MAIL_BYTES = 10_000_000
"""More than this no mail server takes."""


class CannotCompose(Exception):  # noqa: N818  (the mail's fault or the contact's, not the program's)
    """The mail cannot be written, to this contact or to anybody; the message says why."""


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail ready to be handed over. The addresses are what SMTP says them as."""

    sender: str
    recipient: str
    message: bytes

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server that knows international local parts (RFC 6531) can take it."""
        return not (self.sender.isascii() and self.recipient.isascii())


def within_limit(size: int) -> int:
    """Let a size pass.

    Raises:
        CannotCompose: If it is more than a mail may have.
    """
    if size > MAX_MAIL_BYTES:
        raise CannotCompose("too_large")
    return size
