"""Memberships: begun and ended by hand through the executor, which alone decides."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.command_replies import CommandDone
from libs.contracts.membership_events import MembershipState
from libs.contracts.step_commands import Enroll, Remove
from libs.domain.flow import FlowStatus
from services.api.store import directory
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.dialects import FlowKey
from services.api.use_cases.flows import read
from services.api.use_cases.problems import (
    Kind,
    Problem,
    contact_not_found,
    invalid,
    unavailable,
)

_MAX_CONTEXT_BYTES = 16 * 1024
_MAX_CONTEXT_KEYS = 100
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_BEHIND_SECONDS = 0.1
_REFUSALS: Mapping[str, tuple[Kind, str, str]] = {
    "flow_not_active": ("conflict", "flow_not_active", "The flow is not active"),
    "already_in_flow": (
        "conflict",
        "already_in_flow",
        "The contact is already in the flow",
    ),
    "reentry_denied": (
        "conflict",
        "reentry_denied",
        "The contact has been in the flow before, and it does not allow re-entry",
    ),
    "contact_disqualified": (
        "invalid",
        "contact_disqualified",
        "The contact is kept out by the rules of the flow",
    ),
}


async def enroll(
    app_context: AppContext, key: FlowKey, contact_id: UUID, context: dict[str, Any]
) -> MembershipState:
    """Enroll a contact by hand and wait for the executor's verdict.

    Raises:
        Problem: If the flow's rules refuse it, something does not exist, or nobody answers in time;
            then the same call may be made again.
    """
    check_context(context)
    flow = await read(app_context, key)
    if flow.status is not FlowStatus.ACTIVE:
        raise Problem(*_REFUSALS["flow_not_active"])
    contact = (key.workspace_id, contact_id)
    if contact not in await directory.read_contacts(app_context.pool, [contact]):
        raise contact_not_found()
    command_id = uuid4()
    command = Enroll(
        id=command_id,
        time=app_context.clock.now(),
        workspace_id=key.workspace_id,
        contact_id=contact_id,
        flow_id=key.flow_id,
        min_flow_version=flow.published_version,
        source_id=f"api:{command_id}",
        entry_source="public_api",
        dynamic_context=context,
        reply=True,
    )
    done = await _ask(app_context, command)
    if done.refusal is not None:
        raise Problem(*_REFUSALS[done.refusal])
    return _membership(done)


async def remove(app_context: AppContext, key: FlowKey, contact_id: UUID) -> MembershipState | None:
    """Drop the contact's current membership; None if it was not in the flow.

    Raises:
        Problem: If the flow does not exist, or nobody answers in time.
    """
    flow = await read(app_context, key)
    if not flow.published_version:
        return None
    command = Remove(
        id=uuid4(),
        time=app_context.clock.now(),
        workspace_id=key.workspace_id,
        contact_id=contact_id,
        flow_id=key.flow_id,
        min_flow_version=flow.published_version,
    )
    done = await _ask(app_context, command)
    return None if done.refusal == "not_in_flow" else _membership(done)


def check_context(context: Mapping[str, Any]) -> None:
    """See that a dynamic context is one: scalars under plain names, not too many.

    Raises:
        Problem: If it is not.
    """
    if len(context) > _MAX_CONTEXT_KEYS or len(json.dumps(context)) > _MAX_CONTEXT_BYTES:
        raise invalid("dynamic_context", "at most 100 keys and 16 KB")
    for name, value in context.items():
        if not _KEY.fullmatch(name):
            raise invalid(f"dynamic_context.{name}", "letters, digits and _ only, at most 64")
        if isinstance(value, dict | list):
            raise invalid(f"dynamic_context.{name}", "text, a number, true, false or null")


async def _ask(app_context: AppContext, command: Enroll | Remove) -> CommandDone:
    """Publish a command and wait for its answer.

    The directory may know a contact a moment before the executor does; then the same command is
    published again, which can do no harm.
    """
    try:
        async with (
            asyncio.timeout(app_context.settings.reply_timeout_seconds),
            app_context.replies.to_command(command.id) as answers,
        ):
            while True:
                await app_context.publish(command)
                done = await answers.get()
                if done.refusal != "contact_not_found":
                    return done
                await asyncio.sleep(_BEHIND_SECONDS)
    except TimeoutError:
        raise unavailable() from None


def _membership(done: CommandDone) -> MembershipState:
    if done.membership is None:
        raise unavailable()
    return done.membership
