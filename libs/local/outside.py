"""What users and upstream systems do with a stack, from outside: HTTP, Kafka and mail."""

import json
import re
import uuid
from types import TracebackType
from typing import Any, Self

import httpx
from confluent_kafka import Producer

from libs.local.stack import Stack

_PIXEL = re.compile(r'<img src="([^"]+/t/o/[^"]+)"')
Json = dict[str, Any]


class Outside:
    """A developer at the API, an upstream system at Kafka, and a recipient at the mailbox."""

    def __init__(
        self, stack: Stack, api_key: str | None = None, workspace_id: str | None = None
    ) -> None:
        """Look at a stack, as its first workspace unless another one is named."""
        self._stack = stack
        self._workspace_id = workspace_id or stack.workspace_id
        self._api = httpx.Client(
            base_url=stack.url,
            headers={"Authorization": f"Bearer {api_key or stack.api_key}"},
            timeout=30,
        )
        self._producer = Producer(
            {
                "bootstrap.servers": stack.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "log_level": 0,
            }
        )

    def __enter__(self) -> Self:
        """Use it for a while."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close connections; what was published is acknowledged first."""
        self.flush()
        self._api.close()

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        """Call the API; an error of it is an error here."""
        answer = self._api.request(method, path, json=body)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def create_list(self, name: str) -> str:
        """Create a static list; give its id."""
        return str(self.call("POST", "/v1/lists", {"name": name})["list_id"])

    def approved_email(self, name: str, subject: str, html: str) -> str:
        """Create and approve a mail; give its id."""
        body = {
            "name": name,
            "subject": subject,
            "from_name": "Millrace",
            "from_address": "hello@millrace.example",
            "html": html,
        }
        email_id = str(self.call("POST", "/v1/emails", body)["email_id"])
        self.call("POST", f"/v1/emails/{email_id}/approve")
        return email_id

    def welcome_series(self, list_id: str) -> str:
        """Create and activate the welcome series of the API's documentation; give its id."""
        welcome = self.approved_email(
            "Welcome",
            "Welcome, {{contact.firstName:default=friend}}!",
            "<html><body><h1>Hello {{contact.firstName}}</h1>"
            '<p><a href="https://example.com/start">Start here</a></p></body></html>',
        )
        followup = self.approved_email(
            "Follow-up",
            "Did you see our welcome?",
            "<html><body><p>We wrote to you, {{contact.firstName}}.</p></body></html>",
        )
        flow = self.call("POST", "/v1/email-flows", welcome_series(list_id, welcome, followup))
        self.call("POST", f"/v1/email-flows/{flow['flow_id']}/activate")
        return str(flow["flow_id"])

    def new_contact_id(self) -> str:
        """Make up an id, as an upstream system does."""
        return str(uuid.uuid4())

    def publish(self, kind: str, contact_id: str, data: Json, event_id: str | None = None) -> None:
        """Publish a contact event as a CloudEvent, keyed by the contact."""
        event = {
            "specversion": "1.0",
            "id": event_id or str(uuid.uuid4()),
            "source": "/upstream",
            "type": kind,
            "subject": contact_id,
            "time": self._stack.clock.now().isoformat(),
            "workspaceid": self._workspace_id,
            "data": data,
        }
        self._producer.produce("contact.events", json.dumps(event).encode(), contact_id.encode())

    def flush(self) -> None:
        """Wait until Kafka has everything that was published."""
        if self._producer.flush(60):
            raise RuntimeError("Kafka did not take every event")

    def flow(self, flow_id: str) -> Json:
        """Give a flow."""
        found: Json = self.call("GET", f"/v1/email-flows/{flow_id}")
        return found

    def members(self, flow_id: str) -> list[Json]:
        """Give the members of a flow."""
        self.flush()
        found: list[Json] = self.call("GET", f"/v1/email-flows/{flow_id}/members?limit=100")[
            "members"
        ]
        return found

    def timeline(self, flow_id: str, membership_id: str) -> list[Json]:
        """Give what happened to a member."""
        path = f"/v1/email-flows/{flow_id}/members/{membership_id}"
        timeline: list[Json] = self.call("GET", path)["membership"]["timeline"]
        return timeline

    def mails(self) -> list[Json]:
        """Give every mail that was caught."""
        found: list[Json] = httpx.get(self._stack.mail_sink_url, timeout=30).json()
        return found

    def handed_over(self) -> list[tuple[str, str]]:
        """Give (Message-ID, recipient) of every hand-over to the mail server, repeats included."""
        raw = httpx.get(f"{self._stack.mail_sink_url}/raw", timeout=60).json()
        return [(message_id, recipient) for message_id, recipient in raw]

    def mails_to(self, address: str) -> list[Json]:
        """Give the mails to one recipient."""
        return [mail for mail in self.mails() if mail["to"] == [address]]

    def open_mail(self, mail: Json) -> bool:
        """Open a mail as a mail program does: by fetching its pixel."""
        pixel = _PIXEL.search(mail["html"])
        return bool(pixel) and httpx.get(pixel[1], timeout=30).is_success if pixel else False


def welcome_series(list_id: str, welcome_id: str, followup_id: str) -> Json:
    """Write the welcome series with our own list and mails."""
    opened = {
        "kind": "condition",
        "source": "email_step",
        "nodeId": "send-welcome",
        "metric": "opened",
        "operator": "has_activity",
    }
    return {
        "name": "Welcome series",
        "reentry_policy": "no_reentry",
        "triggers": [{"type": "added_to_static_list", "list_id": list_id}],
        "steps": [
            {
                "step_id": "send-welcome",
                "type": "send_email",
                "email_id": welcome_id,
                "next_step_id": "wait-3-days",
            },
            {
                "step_id": "wait-3-days",
                "type": "wait",
                "duration_amount": 3,
                "duration_unit": "days",
                "next_step_id": "check-opened",
            },
            {
                "step_id": "check-opened",
                "type": "condition_check",
                "condition": {"kind": "group", "operator": "and", "conditions": [opened]},
                "false_step_id": "send-followup",
            },
            {"step_id": "send-followup", "type": "send_email", "email_id": followup_id},
        ],
    }
