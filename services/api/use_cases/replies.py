"""Waiting for answers from other services, which come on command.replies to every process."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

from libs.contracts.command_replies import CommandDone, CommandReply, DefinitionApplied

_MUST_APPLY = frozenset({"trigger_matcher", "step_executor"})
"""The services that must work by a definition before its change counts as made."""


class Replies:
    """Who waits for which answer."""

    def __init__(self) -> None:
        self._commands: dict[UUID, asyncio.Queue[CommandDone]] = {}
        self._applied_by: defaultdict[tuple[UUID, int], set[str]] = defaultdict(set)
        self._applied: dict[tuple[UUID, int], asyncio.Event] = {}

    def receive(self, replies: Sequence[CommandReply]) -> None:
        """Give answers to those who wait for them; the others are another process's."""
        for reply in replies:
            match reply:
                case CommandDone() if reply.command_id in self._commands:
                    self._commands[reply.command_id].put_nowait(reply)
                case DefinitionApplied() if (reply.flow_id, reply.version) in self._applied:
                    self._note(reply)
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
        event = self._applied[flow_id, version] = asyncio.Event()
        try:
            yield event
        finally:
            del self._applied[flow_id, version]
            self._applied_by.pop((flow_id, version), None)

    def _note(self, reply: DefinitionApplied) -> None:
        key = (reply.flow_id, reply.version)
        self._applied_by[key].add(reply.service)
        if self._applied_by[key] >= _MUST_APPLY:
            self._applied[key].set()
