"""The API on a database alone."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import Destination, OutboxRecord, Publishable
from libs.chassis.exactly_once.records import Received
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.contact_events import CloudEvent
from libs.local.kafka import ROOT
from services.api.handlers import contact_events
from services.api.settings import Settings
from services.api.store import keys
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.replies import Replies
from services.api.wiring import DIALECTS, app_of
from tests.support.builders import WORKSPACE

KEY = "millrace_a-key-of-the-workspace"


@pytest.fixture
async def api_pool(pool: Pool) -> Pool:
    """A pool on an empty database with the API's schema."""
    await migrate(pool, ROOT / "services/api/migrations")
    return pool


@dataclass
class Mirror:
    """A publisher whose contact events reach the directory before it returns."""

    pool: Pool
    said: list[Publishable] = field(default_factory=list)

    async def publish(self, message: Publishable) -> None:
        self.said.append(message)
        if isinstance(message, CloudEvent):
            async with transaction(self.pool) as tx:
                batch: list[Received[Any]] = [Received(message, 0)]
                await contact_events.handle_batch(tx, batch, known_lists=set())

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        self.said.append(message)
        to = Destination(message.topic.name, 0)
        return OutboxRecord(source, to, message.key.encode(), message.body())


@pytest.fixture
async def api(api_pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate(
        {
            "DATABASE_URL": "postgresql://api@localhost/api", "KAFKA_BOOTSTRAP_SERVERS": "x",
            "public_url": "http://api", "signing_key": "x" * 16, "definition_wait_seconds": 0,
        }
    )  # fmt: skip
    async with transaction(api_pool) as tx:
        await keys.put(tx, KEY, WORKSPACE)
    publisher = cast("Publisher", Mirror(api_pool))
    relay = Relay("api", api_pool, publisher)
    context = AppContext(
        api_pool, relay, publisher, Replies(), Clock(1.0, None), settings, DIALECTS
    )
    transport = httpx.ASGITransport(app_of(context))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield client
