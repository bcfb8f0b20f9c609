"""What end-to-end tests do again and again."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from libs.local.outside import Outside
from tests.support.waiting import wait_until

Json = dict[str, Any]


@dataclass
class Scene:
    """A list, a mail, a flow that sends it, and contacts that enter it."""

    outside: Outside
    steps: list[Json] | None = None
    settings: Json = field(default_factory=dict)
    html: str = "<html><body><p>Hello {{contact.firstName}}</p></body></html>"
    tag: str = field(default_factory=lambda: uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.list_id = self.outside.create_list(f"list {self.tag}")
        self.subject = f"Hello {self.tag}"
        self.email_id = self.outside.approved_email(f"mail {self.tag}", self.subject, self.html)
        send = {"step_id": "send", "type": "send_email", "email_id": self.email_id}
        steps = [send] if self.steps is None else self.steps
        trigger = {"type": "added_to_static_list", "list_id": self.list_id}
        body = {"name": f"flow {self.tag}", "triggers": [trigger], "steps": steps, **self.settings}
        for step in steps:
            if step["type"] == "send_email":
                step.setdefault("email_id", self.email_id)
        self.flow_id = str(self.outside.call("POST", "/v1/email-flows", body)["flow_id"])

    def activate(self) -> "Scene":
        self.outside.call("POST", f"/v1/email-flows/{self.flow_id}/activate")
        return self

    def pause(self) -> None:
        self.outside.call("POST", f"/v1/email-flows/{self.flow_id}/pause")

    def address(self, number: int) -> str:
        return f"{self.tag}-{number}@example.com"

    def create_contact(self, number: int, **fields: Any) -> str:
        contact_id = self.outside.new_contact_id()
        known = {"email": self.address(number), "firstName": f"N{number}", **fields}
        self.outside.publish("contact.created", contact_id, {"fields": known})
        return contact_id

    def put_on_list(self, contact_id: str) -> None:
        self.outside.publish("list.contact_added", contact_id, {"list_id": self.list_id})

    def enter(self, number: int, **fields: Any) -> str:
        contact_id = self.create_contact(number, **fields)
        self.put_on_list(contact_id)
        return contact_id

    def hand_overs(self) -> Counter[str]:
        """Count the hand-overs to each recipient, repeats included."""
        return Counter(to for _, to in self.outside.handed_over() if to.startswith(self.tag))

    def counted(self) -> int:
        """Count all hand-overs."""
        return self.hand_overs().total()

    def mails(self) -> list[Json]:
        return [mail for mail in self.outside.mails() if mail["to"][0].startswith(self.tag)]

    def details(self) -> Json:
        details: Json = self.outside.flow(self.flow_id)["details"]
        return details

    def members(self) -> list[Json]:
        return self.outside.members(self.flow_id)

    def timeline_of(self, contact_id: str) -> list[Json]:
        for member in self.members():
            if member["contact_id"] == contact_id:
                return self.outside.timeline(self.flow_id, member["membership_id"])
        return []

    def wait_for(self, **counts: int) -> None:
        """Wait until the flow's counts are these."""
        self.outside.flush()
        wait_until(
            lambda: {name: self.details()[name] for name in counts} == counts,
            f"{counts} (they are {self.details()})",
            120,
        )

    def wait_for_status(self, status: str, number: int) -> None:
        self.wait_for(**{f"{status}_count": number})
