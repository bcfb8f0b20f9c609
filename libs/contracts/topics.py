"""Every topic, as data. Services create them at start; deploy/topics.yaml says the same."""

from dataclasses import dataclass
from typing import Literal

DAY_MS = 24 * 60 * 60 * 1000
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how it is kept.

    Attributes:
        name: Its name in Kafka.
        partitions: How many it has; None means the installation's number (64 unless set).
        cleanup_policy: `delete` forgets by age, `compact` keeps the last record of each key.
        retention_ms: How long records are kept, in milliseconds; -1 for ever.
        max_message_bytes: The largest batch of records it takes. What carries another record
            must take more than that record's own topic, or it could never be passed on.
    """

    name: str
    partitions: int | None = None
    cleanup_policy: Literal["delete", "compact"] = "delete"
    retention_ms: int = 7 * DAY_MS
    max_message_bytes: int = MIB


CONTACT_EVENTS = Topic("contact.events")
FLOW_DEFINITIONS = Topic("flow.definitions", 1, "compact", -1, 8 * MIB)  # whole mails
STEP_COMMANDS = Topic("step.commands", max_message_bytes=4 * MIB)  # whole contact events
TIMER_COMMANDS = Topic("timer.commands")
MEMBERSHIP_EVENTS = Topic("membership.events")
CONTACT_COMMANDS = Topic("contact.commands")
COMMAND_REPLIES = Topic("command.replies", 1, retention_ms=60 * 60 * 1000)

SPOKEN = (
    CONTACT_EVENTS,
    FLOW_DEFINITIONS,
    STEP_COMMANDS,
    TIMER_COMMANDS,
    MEMBERSHIP_EVENTS,
    CONTACT_COMMANDS,
    COMMAND_REPLIES,
)
"""The topics services speak on."""


def dead_letters_of(topic: Topic) -> Topic:
    """Give the topic that takes what cannot be processed from another."""
    return Topic(
        f"{topic.name}.dead-letter",
        topic.partitions,
        retention_ms=30 * DAY_MS,
        max_message_bytes=2 * topic.max_message_bytes,
    )


ALL = SPOKEN + tuple(dead_letters_of(topic) for topic in SPOKEN)
