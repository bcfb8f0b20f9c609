"""What the trigger matcher is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process import Kit, ServiceSpec, every
from libs.contracts import contact_events as contact_events_contract
from libs.contracts import flow_definitions as flow_definitions_contract
from libs.contracts import topics
from services.trigger_matcher.handlers import contact_events, flow_definitions
from services.trigger_matcher.loops import forget_seen_events
from services.trigger_matcher.settings import Settings
from services.trigger_matcher.store.definitions import CurrentTriggers

_FORGET_SECONDS = 60.0


async def wire(kit: Kit) -> None:
    """Bind handlers to topics."""
    settings = cast("Settings", kit.settings)
    kit.read(
        topics.CONTACT_EVENTS,
        contact_events_contract.ADAPTER,
        partial(contact_events.match, current=CurrentTriggers()),
    )
    kit.read(
        topics.FLOW_DEFINITIONS,
        flow_definitions_contract.ADAPTER,
        partial(flow_definitions.take, clock=kit.clock),
    )
    forget = partial(forget_seen_events.forget, kit.pool, settings.seen_events_keep_days)
    kit.repeat(every(_FORGET_SECONDS, forget))


SPEC = ServiceSpec("trigger_matcher", Path(__file__).parent / "migrations", topics.ALL, wire)
