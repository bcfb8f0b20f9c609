"""The welcome series, judged as the demo judges it."""

from dataclasses import dataclass

from libs.local.demo_report import differences, edge_counts
from libs.local.outside import Outside
from tests.support.waiting import wait_until


@dataclass
class Person:
    first_name: str
    opens: bool
    subscribed: bool = True
    contact_id: str = ""

    @property
    def email(self) -> str:
        return f"{self.first_name.lower()}@welcome.example"

    @property
    def expected_mails(self) -> list[str]:
        if not self.subscribed:
            return []
        first = [f"Welcome, {self.first_name}!"]
        return first if self.opens else [*first, "Did you see our welcome?"]


def test_the_welcome_series_runs_from_event_to_follow_up(outside: Outside) -> None:
    people = [Person("Mary", True), Person("Emmy", False), Person("Sofia", False, subscribed=False)]
    list_id = outside.create_list("welcome")
    flow_id = outside.welcome_series(list_id)
    for person in people:
        person.contact_id = outside.new_contact_id()
        fields = {
            "email": person.email,
            "firstName": person.first_name,
            "marketingEmailSubscribed": person.subscribed,
        }
        for _ in range(2):  # the same event twice counts once
            outside.publish(
                "contact.created", person.contact_id, {"fields": fields}, f"c-{person.contact_id}"
            )
            outside.publish(
                "list.contact_added",
                person.contact_id,
                {"list_id": list_id},
                f"l-{person.contact_id}",
            )
    wait_until(lambda: bool(outside.mails_to("mary@welcome.example")), "the welcome mail")
    assert outside.open_mail(outside.mails_to("mary@welcome.example")[0])

    def everyone_is_through() -> bool:
        done: int = outside.flow(flow_id)["details"]["completed_count"]
        return done == len(people)

    wait_until(everyone_is_through, "every run to end")
    members = outside.members(flow_id)
    runs = {one["contact_id"]: outside.timeline(flow_id, one["membership_id"]) for one in members}
    mails = [mail for mail in outside.mails() if mail["to"][0].endswith("@welcome.example")]
    counts = outside.flow(flow_id)["details"]
    assert differences(people, members, runs, mails, counts) == []
    assert edge_counts(list(runs.values()))["check-opened", "true", "end"] == 1


def test_a_mail_is_complete_and_escapes_what_contacts_say(outside: Outside) -> None:
    list_id = outside.create_list("escaping")
    outside.welcome_series(list_id)
    contact_id = outside.new_contact_id()
    fields = {"email": "bobby@tables.example", "firstName": "<b>Bobby</b>"}
    outside.publish("contact.created", contact_id, {"fields": fields})
    outside.publish("list.contact_added", contact_id, {"list_id": list_id})
    outside.flush()
    wait_until(lambda: bool(outside.mails_to("bobby@tables.example")), "the mail")
    mail = outside.mails_to("bobby@tables.example")[0]
    assert mail["subject"] == "Welcome, <b>Bobby</b>!"
    assert "Hello &lt;b&gt;Bobby&lt;/b&gt;" in mail["html"]
    assert "Hello <b>Bobby</b>" in mail["text"]
    assert "/t/c/" in mail["html"]
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["headers"]["List-Unsubscribe"].startswith("<http://127.0.0.1")
    assert contact_id not in mail["headers"]["Message-ID"]
