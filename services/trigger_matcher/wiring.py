"""What the trigger matcher is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.exactly_once import seen_events
from libs.chassis.process.builder import ServiceBuilder, ServiceSpec
from libs.contracts import contact_events as contact_events_contract
from libs.contracts import flow_definitions as flow_definitions_contract
from libs.contracts import topics
from services.trigger_matcher.handlers import contact_events, flow_definitions
from services.trigger_matcher.settings import Settings
from services.trigger_matcher.store.definitions import CurrentTriggers


async def wire(builder: ServiceBuilder) -> None:
    """Bind handlers to topics."""
    settings = cast("Settings", builder.settings)
    builder.partition(seen_events.partitioned(settings.seen_events_keep_days))
    builder.read(
        topics.CONTACT_EVENTS,
        contact_events_contract.ADAPTER,
        partial(contact_events.handle_batch, current=CurrentTriggers()),
    )
    builder.read(
        topics.FLOW_DEFINITIONS,
        flow_definitions_contract.ADAPTER,
        partial(flow_definitions.handle_batch, clock=builder.clock),
    )


SPEC = ServiceSpec("trigger_matcher", Path(__file__).parent / "migrations", topics.ALL, wire)
