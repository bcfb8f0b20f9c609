"""Waiting for answers from other services, which come on command.replies to every process."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

from libs.contracts.command_replies import CommandDone, CommandReply, DefinitionApplied

TAKERS = frozenset({"trigger_matcher", "step_executor"})
"""The services that must work by a definition before its change counts as made."""


class Replies:
    """Who waits for which answer."""

    def __init__(self) -> None:
        self._commands: dict[UUID, asyncio.Queue[CommandDone]] = {}
        self._takers: defaultdict[tuple[UUID, int], set[str]] = defaultdict(set)
        self._taken: dict[tuple[UUID, int], asyncio.Event] = {}

    def heard(self, replies: Sequence[CommandReply]) -> None:
        """Take answers in; those nobody waits for are another process's."""
        for reply in replies:
            match reply:
                case CommandDone() if reply.command_id in self._commands:
                    self._commands[reply.command_id].put_nowait(reply)
                case DefinitionApplied() if (reply.flow_id, reply.version) in self._taken:
                    self._take(reply)
                case _:
                    continue

    @contextlib.asynccontextmanager
    async def to_command(self, command_id: UUID) -> AsyncIterator["asyncio.Queue[CommandDone]"]:
        """Begin to wait for answers to a command, before it is published."""
        queue = self._commands[command_id] = asyncio.Queue()
        try:
            yield queue
        finally:
            del self._commands[command_id]

    @contextlib.contextmanager
    def to_definition(self, flow_id: UUID, version: int) -> Iterator[asyncio.Event]:
        """Begin to wait until every service works by a version of a flow."""
        event = self._taken[flow_id, version] = asyncio.Event()
        try:
            yield event
        finally:
            del self._taken[flow_id, version]
            self._takers.pop((flow_id, version), None)

    def _take(self, reply: DefinitionApplied) -> None:
        key = (reply.flow_id, reply.version)
        self._takers[key].add(reply.service)
        if self._takers[key] >= TAKERS:
            self._taken[key].set()
