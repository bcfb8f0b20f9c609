"""What the step executor is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process.run import ServiceBuilder, ServiceSpec, every
from libs.contracts import delivery_commands as delivery_commands_contract
from libs.contracts import flow_definitions as flow_definitions_contract
from libs.contracts import step_commands as step_commands_contract
from libs.contracts import topics
from services.step_executor.deliveries.compose import Links
from services.step_executor.deliveries.smtp import MailServer
from services.step_executor.handlers import delivery_commands, flow_definitions, step_commands
from services.step_executor.loops.carry_out_deliveries import CarryOutDeliveries
from services.step_executor.loops.watch_memberships import WatchMemberships
from services.step_executor.settings import Settings
from services.step_executor.store.definitions import KnownFlows

_WATCH_SECONDS = 30.0


async def wire(builder: ServiceBuilder) -> None:
    """Bind handlers to topics, and let deliveries be carried out."""
    settings = cast("Settings", builder.settings)
    _walk(builder, settings)
    _deliver(builder, settings)
    watching = WatchMemberships(builder.pool, builder.clock)
    builder.repeat(every(_WATCH_SECONDS, watching.look))


def _walk(builder: ServiceBuilder, settings: Settings) -> None:
    builder.read(
        topics.STEP_COMMANDS,
        step_commands_contract.ADAPTER,
        partial(
            step_commands.handle_batch,
            clock=builder.clock,
            flows=KnownFlows(),
            members_per_page=settings.members_per_page,
        ),
    )
    builder.read(
        topics.FLOW_DEFINITIONS,
        flow_definitions_contract.ADAPTER,
        partial(flow_definitions.handle_batch, clock=builder.clock, partitions=settings.partitions),
    )


def _deliver(builder: ServiceBuilder, settings: Settings) -> None:
    links = Links(settings.public_url, settings.signing_key.get_secret_value())
    reader = builder.read(
        topics.DELIVERY_COMMANDS,
        delivery_commands_contract.ADAPTER,
        partial(delivery_commands.handle_batch, clock=builder.clock, links=links),
    )
    carrying = CarryOutDeliveries(reader, MailServer(settings), builder.clock, settings)
    builder.repeat(carrying.run)


SPEC = ServiceSpec("step_executor", Path(__file__).parent / "migrations", topics.ALL, wire)
