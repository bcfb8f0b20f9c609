"""The links of mails: to the API, which sees them used and leads on."""

from libs.contracts.tracking import MailSigner, Signer, TrackedMail


class LinksOfMail:
    """The links of one mail to one contact."""

    def __init__(self, start: str, signer: MailSigner) -> None:
        self._start = start
        self._signer = signer
        self.unsubscribe = f"{start}u/{signer.sign('u')}"

    def pixel(self) -> str:
        """Where the picture is that shows an opening."""
        return f"{self._start}o/{self._signer.sign('o')}.gif"

    def tracked(self, url: str) -> str | None:
        """Lead a link through the API; None if it leads there already, or not into the web."""
        if not is_web(url) or url.startswith(self._start):
            return None
        return f"{self._start}c/{self._signer.sign('c', url)}"


class Links:
    """How links in mails are made: the API's public address, and the key they are signed with."""

    def __init__(self, public_url: str, signing_key: str) -> None:
        self._start = public_url.rstrip("/") + "/t/"
        self._signer = Signer(signing_key)

    def of(self, mail: TrackedMail) -> LinksOfMail:
        """Begin with the links of a mail."""
        return LinksOfMail(self._start, self._signer.of(mail))


def is_web(url: str) -> bool:
    """Whether a link leads into the web, and not to a mail program or a place in the same mail."""
    return url[:8].lower().startswith(("http://", "https://"))
