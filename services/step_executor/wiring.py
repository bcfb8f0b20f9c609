"""What the step executor is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from libs.chassis.process import Kit, ServiceSpec, every
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


async def wire(kit: Kit) -> None:
    """Bind handlers to topics, and let deliveries be carried out."""
    settings = cast("Settings", kit.settings)
    _walk(kit, settings)
    _deliver(kit, settings)
    watching = WatchMemberships(kit.pool, kit.clock)
    kit.repeat(every(_WATCH_SECONDS, watching.look))


def _walk(kit: Kit, settings: Settings) -> None:
    kit.read(
        topics.STEP_COMMANDS,
        step_commands_contract.ADAPTER,
        partial(
            step_commands.act,
            clock=kit.clock,
            flows=KnownFlows(),
            members_per_page=settings.members_per_page,
        ),
    )
    kit.read(
        topics.FLOW_DEFINITIONS,
        flow_definitions_contract.ADAPTER,
        partial(flow_definitions.take, clock=kit.clock, shards=settings.partitions),
    )


def _deliver(kit: Kit, settings: Settings) -> None:
    links = Links(settings.public_url, settings.signing_key.get_secret_value())
    reader = kit.read(
        topics.DELIVERY_COMMANDS,
        delivery_commands_contract.ADAPTER,
        partial(delivery_commands.plan, clock=kit.clock, links=links),
    )
    carrying = CarryOutDeliveries(reader, MailServer(settings), kit.clock, settings)
    kit.repeat(carrying.run)


SPEC = ServiceSpec("step_executor", Path(__file__).parent / "migrations", topics.ALL, wire)
