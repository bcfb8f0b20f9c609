"""What the demo shows at the end, and how it tells right from wrong."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from rich.table import Table

Json = dict[str, Any]
_END = "end"


class Expected(Protocol):
    """A contact and what must become of it."""

    first_name: str
    opens: bool
    subscribed: bool
    contact_id: str

    @property
    def email(self) -> str:
        """Its address."""
        ...

    @property
    def expected_mails(self) -> list[str]:
        """The subjects it must get, in order."""
        ...


def summary(people: Sequence[Expected], members: Sequence[Json], mails: Sequence[Json]) -> Table:
    """Make a table of who got what."""
    table = Table(title="What became of everyone")
    for heading in ("contact", "run", "mails", "opened"):
        table.add_column(heading)
    status = {member["contact_id"]: member["status"] for member in members}
    for person in people:
        subjects = [mail["subject"] for mail in mails if mail["to"] == [person.email]]
        table.add_row(
            person.first_name,
            status.get(person.contact_id, "not in the flow"),
            "\n".join(subjects) or "none (unsubscribed)",
            "yes" if person.opens else "no",
        )
    return table


def flow_drawing(steps: Sequence[Json], timelines: Sequence[Sequence[Json]]) -> str:
    """Draw the flow as text, with how many contacts took each edge."""
    taken = edge_counts(timelines)
    lines = [f"  {len(timelines):>3} entered"]
    for step in steps:
        lines.append(f"      [{step['step_id']}] {step['type']}")
        lines += [
            f"  {count:>3} {outcome or 'next'} -> {target}"
            for (source, outcome, target), count in sorted(taken.items())
            if source == step["step_id"]
        ]
    return "\n".join(["The flow, with the contacts on each edge:", *lines, ""])


def edge_counts(timelines: Sequence[Sequence[Json]]) -> Counter[tuple[str, str, str]]:
    """Count, over all runs, how often each (step, outcome, next step) was taken."""
    taken: Counter[tuple[str, str, str]] = Counter()
    for timeline in timelines:
        steps = [entry for entry in timeline if entry["type"] == "step_executed"]
        ids = [entry["step_id"] for entry in steps[1:]] + [_END]
        for entry, target in zip(steps, ids, strict=False):
            taken[entry["step_id"], entry["details"].get("outcome", ""), target] += 1
    return taken


def differences(
    people: Sequence[Expected],
    members: Sequence[Json],
    runs: Mapping[str, Sequence[Json]],
    mails: Sequence[Json],
    counts: Json,
) -> list[str]:
    """Say everything that is not as it must be."""
    return [
        *_wrong_mails(people, mails),
        *_wrong_runs(people, members, runs),
        *_wrong_counts(people, counts),
    ]


def _wrong_mails(people: Sequence[Expected], mails: Sequence[Json]) -> Iterator[str]:
    for person in people:
        got = [mail["subject"] for mail in mails if mail["to"] == [person.email]]
        if got != person.expected_mails:
            yield f"{person.first_name} got {got}, not {person.expected_mails}"
    for mail in mails:
        if mail["repeats"]:
            yield f"the mail to {mail['to']} was sent {mail['repeats'] + 1} times"
        if not mail["text"] or not mail["html"] or "List-Unsubscribe-Post" not in mail["headers"]:
            yield f"the mail to {mail['to']} lacks a part or a header"


def _wrong_runs(
    people: Sequence[Expected], members: Sequence[Json], runs: Mapping[str, Sequence[Json]]
) -> Iterator[str]:
    if len(members) != len(people):
        yield f"{len(members)} runs, not {len(people)}"
    for member in members:
        if member["status"] != "completed":
            yield f"a run is {member['status']}, not completed"
    for person in people:
        executed = [
            (entry["step_id"], entry["details"].get("outcome"))
            for entry in runs.get(person.contact_id, [])
            if entry["type"] == "step_executed"
        ]
        if executed != expected_steps(person):
            yield f"{person.first_name} went {executed}, not {expected_steps(person)}"


def expected_steps(person: Expected) -> list[tuple[str, str]]:
    """Say which way a contact must go."""
    sent = "sent" if person.subscribed else "skipped"
    opened = [("check-opened", "true")]
    not_opened = [("check-opened", "false"), ("send-followup", sent)]
    way = [("send-welcome", sent), ("wait-3-days", "waited")]
    return way + (opened if person.opens else not_opened)


def _wrong_counts(people: Sequence[Expected], counts: Json) -> Iterator[str]:
    expected = {
        "total_entered": len(people),
        "active_count": 0,
        "waiting_count": 0,
        "completed_count": len(people),
        "dropped_count": 0,
    }
    for name, value in expected.items():
        if counts[name] != value:
            yield f"{name} is {counts[name]}, not {value}"
