"""A mail server that delivers nothing: it shows what it caught over HTTP.

`GET /`        the mails, as a JSON array of {from, to, subject, headers, text, html, repeats}
`GET /count`   {"mails": listed ones, "handed_over": every mail that was accepted, repeats as well}
`GET /raw`     [message_id, recipient] of every mail that was accepted, in order, repeats as well
`GET /repeats` how many repeats were suppressed
`DELETE /`     forget everything
`PUT /faults`  {"times": 3, "recipient": "a@b"?, and at least one of the following}: the next times
               "reply": "451 later"    refuse so, and keep nothing
               "delay_seconds": 2.5    answer that late; other connections are served meanwhile
               "drop": true            accept, and close the connection without an answer

It treats Message-ID as mailbox providers do that suppress duplicates: a mail that was accepted
already for the same recipient is accepted again and not delivered twice. Repeats are counted, never
hidden: a sender that crashed between the answer and its own record of it must send again.

A mail is read when somebody looks at it; until then only its Message-ID is.
"""

import argparse
import asyncio
import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import cached_property
from typing import Annotated, Any

import uvicorn
import uvloop
from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from libs.local.ports import HOST
from libs.local.smtp_server import Answer, SmtpConnection

ACCEPTED = "250 OK"
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:((?:.*\n[ \t])*.*)", re.IGNORECASE | re.MULTILINE)


@checked_dataclass
class Fault:
    """Something that goes wrong with the next mails, to one recipient or to all.

    Raises:
        ValueError: If a part of it is of the wrong kind, or it says nothing, or contradicts itself.
    """

    reply: str | None
    times: int
    recipient: str | None = None
    delay_seconds: Annotated[float, Field(ge=0)] = 0.0
    drop: bool = False

    def __post_init__(self) -> None:
        """Refuse nonsense."""
        if self.reply is None and not self.delay_seconds and not self.drop:
            raise ValueError("a fault has a reply, delay_seconds or drop")
        if self.reply is not None and self.drop:
            raise ValueError("a fault that drops the connection cannot reply")

    def concerns(self, recipients: Sequence[str]) -> bool:
        """Say whether it is still to happen to a mail to these."""
        return self.times > 0 and (self.recipient is None or self.recipient in recipients)


@dataclass
class Caught:
    """A mail that was accepted, and how often it came again."""

    sender: str
    recipients: Sequence[str]
    content: bytes
    repeats: int = 0

    @cached_property
    def _read(self) -> dict[str, Any]:
        return parse(self.sender, self.recipients, self.content)

    def shown(self) -> dict[str, Any]:
        """Give what the list shows of it."""
        return {**self._read, "repeats": self.repeats}


@dataclass
class Mailbox:
    """What was caught, in order of arrival."""

    caught: list[Caught] = field(default_factory=list)
    raw: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _known: dict[tuple[str, str], Caught] = field(default_factory=dict)

    def take(self, sender: str, recipients: Sequence[str], content: bytes) -> Answer:
        """Take a mail in; give the SMTP answer."""
        fault = self._next_fault(recipients)
        if fault is None:
            self._keep(sender, recipients, content)
            return Answer(ACCEPTED)
        if fault.reply is None:
            self._keep(sender, recipients, content)
        return Answer(fault.reply or ACCEPTED, fault.delay_seconds, fault.drop)

    def _next_fault(self, recipients: Sequence[str]) -> Fault | None:
        for fault in self.faults:
            if fault.concerns(recipients):
                fault.times -= 1
                return fault
        return None

    def _keep(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        key = (message_id(content), ",".join(recipients))
        self.raw.append(key)
        if key[0] and key in self._known:
            self._known[key].repeats += 1
        else:
            self._known[key] = Caught(sender, recipients, content)
            self.caught.append(self._known[key])

    @property
    def mails(self) -> list[dict[str, Any]]:
        """Every mail, read."""
        return [one.shown() for one in self.caught]

    @property
    def repeats(self) -> int:
        """How many mails came again."""
        return len(self.raw) - len(self.caught)

    def clear(self) -> None:
        """Forget everything."""
        self.caught.clear()
        self.raw.clear()
        self.faults.clear()
        self._known.clear()


def message_id(content: bytes) -> str:
    """Find a mail's Message-ID without reading all of it; empty if it has none."""
    end = _END_OF_HEADERS.search(content)
    found = _MESSAGE_ID.search(content, 0, end.start() if end else len(content))
    return b" ".join(found[1].split()).decode(errors="replace") if found else ""


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
    }


def _part(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except LookupError:  # a character set nobody knows
        return bytes(part.get_payload(decode=True) or b"").decode(errors="replace")


def web(mailbox: Mailbox) -> Starlette:
    """Make the HTTP side."""

    async def show(_request: Request) -> Response:
        return JSONResponse(mailbox.mails)

    async def count(_request: Request) -> Response:
        return JSONResponse({"mails": len(mailbox.caught), "handed_over": len(mailbox.raw)})

    async def raw(_request: Request) -> Response:
        return JSONResponse(mailbox.raw)

    async def repeats(_request: Request) -> Response:
        return JSONResponse({"repeats": mailbox.repeats})

    async def clear(_request: Request) -> Response:
        mailbox.clear()
        return Response(status_code=204)

    async def faults(request: Request) -> Response:
        try:
            mailbox.faults.append(Fault(**{"reply": None, **await request.json()}))
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/", show),
            Route("/", clear, methods=["DELETE"]),
            Route("/count", count),
            Route("/raw", raw),
            Route("/repeats", repeats),
            Route("/faults", faults, methods=["PUT"]),
        ]
    )


async def run(smtp_port: int, http_port: int) -> None:
    """Serve mail and HTTP until told to end."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SmtpConnection(mailbox.take), HOST, smtp_port)
    config = uvicorn.Config(web(mailbox), host=HOST, port=http_port, log_level="warning")
    async with server:
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the ports and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.smtp_port, arguments.http_port))


if __name__ == "__main__":
    main()
