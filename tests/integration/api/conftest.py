"""The API's own database, and the API on it alone."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from aiokafka.errors import KafkaConnectionError

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.outbox import Destination, OutboxRecord, Publishable
from libs.chassis.exactly_once.records import Received
from libs.chassis.exactly_once.relay import Relay
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.contracts.contact_events import ADAPTER
from services.api.handlers import contact_events
from services.api.settings import Settings
from services.api.store import keys
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.replies import Replies
from services.api.wiring import DIALECTS, SPEC, app_of
from tests.support.builders import WORKSPACE
from tests.support.migrated_databases import MigratedDatabases

KEY = "millrace_a-key-of-the-workspace"
ROOM = 1024 * 1024 - 2048


@pytest.fixture
def database(migrated: MigratedDatabases) -> str:
    """A new database with the schema of the service."""
    return migrated.copy_of("api")


@pytest.fixture
async def api_pool(database: str) -> AsyncIterator[Pool]:
    """A pool as the API has it, on an empty database with the API's schema."""
    async with open_pool(database, planner=SPEC.planner) as pool:
        await migrate(pool, SPEC.migrations)
        yield pool


@dataclass
class Mirror:
    """A publisher whose contact events reach the directory before it returns."""

    pool: Pool
    said: list[Publishable] = field(default_factory=list)
    calls: int = 0
    fails: bool = False

    async def publish_all(self, messages: Iterable[Publishable]) -> None:
        said = list(messages)
        if self.fails:
            raise KafkaConnectionError
        self.said += said
        self.calls += 1
        events = [ADAPTER.validate_json(one.body()) for one in said]
        async with transaction(self.pool) as tx:
            batch: list[Received[Any]] = [Received(event, at) for at, event in enumerate(events)]
            await contact_events.handle_batch(tx, batch, known_lists=set())

    def room_in(self, topic: str) -> int:
        assert topic == "contact.events"
        return ROOM

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        self.said.append(message)
        to = Destination(message.topic.name, 0)
        return OutboxRecord(source, to, message.key.encode(), message.body())


@pytest.fixture
def mirror(api_pool: Pool) -> Mirror:
    return Mirror(api_pool)


@pytest.fixture
async def context(api_pool: Pool, mirror: Mirror) -> AppContext:
    """What use cases work with, on a publisher that is heard at once."""
    settings = Settings.model_validate(
        {
            "DATABASE_URL": "postgresql://api@localhost/api", "KAFKA_BOOTSTRAP_SERVERS": "x",
            "public_url": "http://api", "signing_key": "x" * 16, "definition_wait_seconds": 0,
        }
    )  # fmt: skip
    async with transaction(api_pool) as tx:
        await keys.put(tx, KEY, WORKSPACE)
    publisher = cast("Publisher", mirror)
    relay = Relay("api", api_pool, publisher)
    return AppContext(api_pool, relay, publisher, Replies(), Clock(1.0, None), settings, DIALECTS)


@pytest.fixture
async def api(context: AppContext) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app_of(context))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://api", headers=headers
    ) as client:
        yield client
