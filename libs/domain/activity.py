"""What contacts do again and again, and how rules count it.

An activity has a metric: a recorded one its own name ("Placed Order"), what becomes of mails and
forms the type of its event ("email.opened", "form.submitted"). What a contact did may be much, and
most of it nobody asks about; so a flow says what its rules need of it, and only that is read.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, Self
from uuid import UUID

FORM_SUBMITTED = "form.submitted"
EMAIL_METRICS = frozenset(
    f"email.{kind}"
    for kind in "sent delivered opened clicked bounced complained unsubscribed".split()
)
MOST_LOOKED_AT = 1000
"""Where only some of a metric's activities count, so many of the newest are looked through."""


class UnreadActivity(LookupError):  # noqa: N818  (a fact that must never be)
    """A rule asks what has not been read of a contact, which must not be taken for nothing."""


class ActivityKind(NamedTuple):
    """What is counted, or what one activity is.

    Attributes:
        metric: Its name.
        email_id: Of which mail; to count, None is any. So with the form and its page.
    """

    metric: str
    email_id: UUID | None = None
    form_id: str | None = None
    tent_id: UUID | None = None

    def counts(self, done: "ActivityKind") -> bool:
        """Say whether an activity is of this kind."""
        return self.metric == done.metric and all(
            mine is None or mine == its for mine, its in zip(self[1:], done[1:], strict=True)
        )

    def fact(self) -> str:
        """Name the fact by which a rule that counts this hears of more."""
        return self.facts()[-1]

    def facts(self) -> list[str]:
        """Name the facts that an activity of this kind changes, the widest first."""
        start = f"did:{self.metric}"
        named = (self.tent_id, self.form_id, self.email_id)
        return [start, *(f"{start}#{one}" for one in named if one is not None)]


class ActivityNeed(NamedTuple):
    """How much must be read of one kind.

    Attributes:
        window: How far back; None is all of it.
        at_most: So many of the newest tell all there is to tell.
    """

    window: timedelta | None
    at_most: int

    def and_also(self, other: "ActivityNeed | None") -> "ActivityNeed":
        """Give what serves both."""
        if other is None:
            return self
        windows = self.window, other.window
        window = None if None in windows else max(one for one in windows if one is not None)
        return ActivityNeed(window, max(self.at_most, other.at_most))


ActivityNeeds = Mapping[ActivityKind, ActivityNeed]


def merged(needs: Iterable[tuple[ActivityKind, ActivityNeed]]) -> dict[ActivityKind, ActivityNeed]:
    """Give what serves all of some needs."""
    found: dict[ActivityKind, ActivityNeed] = {}
    for kind, need in needs:
        found[kind] = need.and_also(found.get(kind))
    return found


@dataclass(frozen=True, slots=True)
class PastActivity:
    """What was read of one kind.

    Attributes:
        times: When, the newest first; if there are as many as were needed, there may be more.
        folded: How many there are besides whose times are not kept any more.
        unread_before: What happened up to then was not looked at; None if all was.
    """

    times: tuple[datetime, ...] = ()
    folded: int = 0
    unread_before: datetime | None = None

    def and_one(self, at: datetime) -> Self:
        """Add one that has just been recorded."""
        return replace(self, times=tuple(sorted((*self.times, at), reverse=True)))


class Counted(NamedTuple):
    """How many there are in a window.

    Attributes:
        is_floor: Whether there may be more.
    """

    number: int
    is_floor: bool


def counted(past: PastActivity, window: timedelta | None, now: datetime) -> Counted:
    """Count what lies in a window that ends now, or all there is."""
    unread = past.unread_before
    if window is None:
        return Counted(len(past.times) + past.folded, unread is not None)
    since = now - window
    number = sum(1 for at in past.times if at > since)
    return Counted(number, unread is not None and unread > since)


def changes(
    past: PastActivity, window: timedelta, now: datetime
) -> Iterator[tuple[datetime, Counted]]:
    """Give the instants at which time alone changes the count, and what it is from then on."""
    number, is_floor = counted(past, window, now)
    if is_floor and past.unread_before is not None:
        newer = sum(1 for at in past.times if at > past.unread_before)
        yield past.unread_before + window, Counted(newer, is_floor=False)
        number = min(number, newer)
    for place in range(number - 1, -1, -1):
        if place and past.times[place - 1] == past.times[place]:
            continue  # they fall out of it together
        yield past.times[place] + window, Counted(place, is_floor=False)
