"""What the API is made of."""

from functools import partial
from pathlib import Path
from typing import cast

from fastapi import Depends, FastAPI

from libs.chassis.postgres import transaction
from libs.chassis.process import Kit, ServiceSpec, every
from libs.chassis.relay import Relay
from libs.contracts import command_replies, topics
from libs.contracts import contact_commands as contact_commands_contract
from libs.contracts import contact_events as contact_events_contract
from libs.contracts import membership_events as membership_events_contract
from services.api.handlers import contact_commands, contact_events, membership_events
from services.api.http import problems
from services.api.http.bodies import readable
from services.api.http.guards import Guards
from services.api.loops.fold_counts import fold
from services.api.native import directory, emails, flow_steps, flows, members
from services.api.settings import Settings
from services.api.store import keys
from services.api.tracking import links
from services.api.use_cases.desk import Desk
from services.api.use_cases.replies import Replies

_FOLD_SECONDS = 10.0


async def wire(kit: Kit) -> None:
    """Bind handlers to topics, and serve the dialects."""
    settings = cast("Settings", kit.settings)
    relay, replies = Relay("api", kit.pool, kit.publisher), Replies()
    kit.repeat(relay.run)
    kit.repeat(every(_FOLD_SECONDS, partial(fold, kit.pool)))
    kit.listen(topics.COMMAND_REPLIES, command_replies.ADAPTER, replies.heard)
    _follow(kit)
    desk = Desk(kit.pool, relay, kit.publisher, replies, kit.clock, settings)
    await _first_key(desk)
    kit.serve(Guards(_app(desk)))


def _follow(kit: Kit) -> None:
    kit.read(topics.CONTACT_EVENTS, contact_events_contract.ADAPTER, contact_events.follow)
    kit.read(topics.CONTACT_COMMANDS, contact_commands_contract.ADAPTER, contact_commands.carry_out)
    kit.read(topics.MEMBERSHIP_EVENTS, membership_events_contract.ADAPTER, membership_events.follow)


def _app(desk: Desk) -> FastAPI:
    app = FastAPI(
        title="Millrace",
        version="1",
        description="Triggered flows.",
        dependencies=[Depends(readable)],
    )
    app.state.desk = desk
    problems.install(app)
    for dialect in (flows, flow_steps, members, emails, directory, links):
        app.include_router(dialect.router)
    return app


async def _first_key(desk: Desk) -> None:
    key, workspace_id = desk.settings.bootstrap_api_key, desk.settings.bootstrap_workspace_id
    if key and workspace_id:
        async with transaction(desk.pool) as tx:
            await keys.put(tx, key.get_secret_value(), workspace_id)


SPEC = ServiceSpec("api", Path(__file__).parent / "migrations", topics.ALL, wire)
