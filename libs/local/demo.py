"""`make demo`: the welcome series, lived through in a minute by a handful of contacts.

It does what users do, from outside: flows and mails over HTTP, contact events over Kafka, opening a
mail by fetching its pixel. Then it compares what the API and the mail sink show with what must be.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from libs.local.demo_report import differences, flow_drawing, summary
from libs.local.kafka import ROOT
from libs.local.outside import Outside
from libs.local.stack import Stack, running

_FOLDER = ROOT / ".run-demo"
_SPEED = 20_000.0
_LIMIT_SECONDS = 120.0
_LOOK_SECONDS = 0.2


@dataclass
class Person:
    """A contact of the demo, and what must become of it.

    Attributes:
        opens: Whether it opens the welcome mail.
        subscribed: Whether it may get marketing mail at all.
        times_published: How often its events are published; more than once must change nothing.
    """

    first_name: str
    opens: bool = False
    subscribed: bool = True
    times_published: int = 1
    contact_id: str = ""

    @property
    def email(self) -> str:
        """Its address."""
        return f"{self.first_name.lower()}@example.com"

    @property
    def expected_mails(self) -> list[str]:
        """The subjects it must get, in order."""
        if not self.subscribed:
            return []
        welcome = [f"Welcome, {self.first_name}!"]
        return welcome if self.opens else [*welcome, "Did you see our welcome?"]


@dataclass
class Story:
    """What is going on, and what was told of it."""

    outside: Outside
    people: list[Person]
    console: Console
    flow_id: str = ""
    told: dict[str, int] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)


def demo() -> int:
    """Run it; 0 only if everything came out exactly right."""
    console = Console(highlight=False)
    speed = float(os.environ.get("MILLRACE_CLOCK_SPEED") or _SPEED)
    kind = os.environ.get("KAFKA") or "embedded"
    shutil.rmtree(_FOLDER, ignore_errors=True)
    stack = Stack(_FOLDER, kafka_kind=kind, clock_speed=speed)
    console.print("Starting Postgres, Kafka, a mail sink and the four services ...")
    with running(stack):
        kafka = stack.kafka.version if stack.kafka else ""
        console.print(f"  {kafka}\n  {stack.postgres.version}")
        console.print(f"  one day lasts {86_400 / speed:.1f} seconds\n")
        with Outside(stack) as outside:
            return _play(Story(outside, _people(), console))


def _people() -> list[Person]:
    return [
        Person("Ada", opens=True),
        Person("Grace", opens=True),
        Person("Alan"),
        Person("Edsger", times_published=3),
        Person("Barbara", subscribed=False),
    ]


def _play(story: Story) -> int:
    list_id = story.outside.create_list("Newsletter")
    story.flow_id = story.outside.welcome_series(list_id)
    story.console.print("The welcome series is active. An upstream system publishes events:")
    for person in story.people:
        person.contact_id = story.outside.new_contact_id()
        for _ in range(person.times_published):
            _publish(story, person, list_id)
        again = f" (each {person.times_published} times)" if person.times_published > 1 else ""
        story.console.print(f"  contact.created, list.contact_added: {person.first_name}{again}")
    story.console.print()
    _watch(story)
    return _judge(story)


def _publish(story: Story, person: Person, list_id: str) -> None:
    fields = {
        "email": person.email,
        "firstName": person.first_name,
        "marketingEmailSubscribed": person.subscribed,
    }
    publish, contact_id = story.outside.publish, person.contact_id
    publish("contact.created", contact_id, {"fields": fields}, f"created-{contact_id}")
    publish("list.contact_added", contact_id, {"list_id": list_id}, f"added-{contact_id}")


def _watch(story: Story) -> None:
    """Tell what happens as it happens, until every run has ended."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < deadline:
        members = story.outside.members(story.flow_id)
        for _, line in sorted(_news(story, members)):
            story.console.print(line, markup=False)
        _open_mails(story)
        ended = [one for one in members if one["exited_at"]]
        if len(ended) == len(story.people):
            return
        time.sleep(_LOOK_SECONDS)
    story.console.print("[red]Not every run has ended in time.[/red]")


def _news(
    story: Story, members: list[dict[str, Any]]
) -> Iterator[tuple[tuple[str, str, int], str]]:
    names = {person.contact_id: person.first_name for person in story.people}
    for member in members:
        membership_id = str(member["membership_id"])
        timeline = story.outside.timeline(story.flow_id, membership_id)
        known = story.told.get(membership_id, 0)
        for entry in timeline[known:]:
            name = names[str(member["contact_id"])]
            yield (entry["occurred_at"], name, entry["sequence"]), _line(name, entry)
        story.told[membership_id] = len(timeline)


def _line(name: str, entry: dict[str, Any]) -> str:
    at = datetime.fromisoformat(entry["occurred_at"]).astimezone(UTC)
    said = entry["details"]
    more = said.get("outcome") or said.get("until") or said.get("reason") or ""
    where = entry["step_id"] or ""
    return f"  {at:%d %b %H:%M}  {name:<8} {entry['type']!s:<14} {where!s:<14} {more}"


def _open_mails(story: Story) -> None:
    """Fetch the pixel of the welcome mail for those who open it."""
    for person in story.people:
        if person.opens and person.email not in story.opened:
            mails = story.outside.mails_to(person.email)
            if mails and story.outside.open_mail(mails[0]):
                story.opened.add(person.email)
                story.console.print(f"                {person.first_name} opens the welcome mail")


def _judge(story: Story) -> int:
    outside, console = story.outside, story.console
    members = outside.members(story.flow_id)
    runs = {
        str(one["contact_id"]): outside.timeline(story.flow_id, str(one["membership_id"]))
        for one in members
    }
    flow = outside.flow(story.flow_id)
    console.print()
    console.print(summary(story.people, members, outside.mails()))
    console.print(flow_drawing(flow["steps"], list(runs.values())), markup=False)
    wrong = differences(story.people, members, runs, outside.mails(), flow["details"])
    for difference in wrong:
        console.print(f"[red]  differs: {difference}[/red]")
    if wrong:
        return 1
    console.print("Everything came out as it must: nothing lost, nothing sent twice.")
    return 0


if __name__ == "__main__":
    sys.exit(demo())
