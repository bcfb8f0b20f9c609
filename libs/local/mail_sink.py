"""A mail server that delivers nothing: it shows what it caught over HTTP.

`GET /`        the mails, as a JSON array of {from, to, subject, headers, text, html, repeats}
`GET /repeats` how many repeats were suppressed
`DELETE /`     forget everything
`PUT /faults`  {"reply": "451 later", "times": 3, "recipient": "a@b"?}: answer so the next times

It treats Message-ID as mailbox providers do that suppress duplicates: a mail that was accepted
already for the same recipient is accepted again and not delivered twice. Repeats are counted, never
hidden: a sender that crashed between the answer and its own record of it must send again.
"""

import argparse
import asyncio
import email
import email.policy
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from libs.local.ports import HOST


@dataclass
class Fault:
    """An answer to give instead of accepting, some times; to one recipient or to all."""

    reply: str
    times: int
    recipient: str | None = None

    def concerns(self, recipients: Sequence[str]) -> bool:
        """Say whether it is still to be given for a mail to these."""
        return self.times > 0 and (self.recipient is None or self.recipient in recipients)


@dataclass
class Mailbox:
    """What was caught, in order of arrival."""

    mails: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def take(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Take a mail in; give the SMTP answer."""
        for fault in self.faults:
            if fault.concerns(recipients):
                fault.times -= 1
                return fault.reply
        caught = parse(sender, recipients, content)
        key = (_message_id(caught["headers"]), ",".join(recipients))
        if key[0] and key in self._known:
            self._known[key]["repeats"] += 1
        else:
            self._known[key] = caught
            self.mails.append(caught)
        return "250 OK"

    @property
    def repeats(self) -> int:
        """How many mails came again."""
        return sum(mail["repeats"] for mail in self.mails)

    def clear(self) -> None:
        """Forget everything."""
        self.mails.clear()
        self.faults.clear()
        self._known.clear()


def parse(sender: str, recipients: Sequence[str], content: bytes) -> dict[str, Any]:
    """Read a mail into what the list shows of it."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    return {
        "from": sender,
        "to": list(recipients),
        "subject": str(message.get("Subject", "")),
        "headers": {name: str(value) for name, value in message.items()},
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
        "repeats": 0,
    }


def _message_id(headers: dict[str, str]) -> str:
    return next((value for name, value in headers.items() if name.lower() == "message-id"), "")


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except LookupError:  # a character set nobody knows
        return bytes(part.get_payload(decode=True) or b"").decode(errors="replace")


class _Handler:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  (aiosmtpd's name)
        content = envelope.original_content or b""
        return self._mailbox.take(envelope.mail_from or "", envelope.rcpt_tos, content)


def web(mailbox: Mailbox) -> Starlette:
    """Make the HTTP side."""

    async def show(_request: Request) -> Response:
        return JSONResponse(mailbox.mails)

    async def repeats(_request: Request) -> Response:
        return JSONResponse({"repeats": mailbox.repeats})

    async def clear(_request: Request) -> Response:
        mailbox.clear()
        return Response(status_code=204)

    async def faults(request: Request) -> Response:
        try:
            mailbox.faults.append(Fault(**await request.json()))
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", show),
            Route("/", clear, methods=["DELETE"]),
            Route("/repeats", repeats),
            Route("/faults", faults, methods=["PUT"]),
        ]
    )


async def run(smtp_port: int, http_port: int) -> None:
    """Serve mail and HTTP until told to end."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(_Handler(mailbox), enable_SMTPUTF8=True), HOST, smtp_port
    )
    config = uvicorn.Config(web(mailbox), host=HOST, port=http_port, log_level="warning")
    async with server:
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the ports and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.smtp_port, arguments.http_port))


if __name__ == "__main__":
    main()
