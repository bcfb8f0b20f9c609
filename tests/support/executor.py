"""The executor's handlers with a connection and a list, for tests."""

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import services.step_executor
from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.contact_events import ContactCreated, ContactEvent
from libs.contracts.flow_definitions import EmailContent, FlowDefined
from libs.contracts.membership_events import MembershipChanged, TimelineEntry
from libs.contracts.step_commands import Enroll, FlowStart, Observe, StepCommand
from libs.domain.flow import Flow
from services.step_executor.handlers import flow_definitions, step_commands
from services.step_executor.store import definitions, partition_lag
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.store.deliveries import DeliveryKey
from services.step_executor.use_cases.record_results import RecordResults
from tests.support.builders import CONTACT, FLOW, FOLLOWUP, NOW, WELCOME, WORKSPACE, a_flow

MIGRATIONS = Path(services.step_executor.__file__).parent / "migrations"
PARTITIONS = 2


class StillClock:
    """A clock that is set by hand."""

    now_is = NOW

    def now(self) -> Any:
        return self.now_is


class Executor:
    """One executor without Kafka: commands in, messages out."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.clock = StillClock()
        self.flows = KnownFlows()

    @classmethod
    async def ready(cls, pool: Pool) -> "Executor":
        """Make one that knows the welcome series, its mails, and that nothing lags."""
        await migrate(pool, MIGRATIONS)
        made = cls(pool)
        await made.define(a_flow())
        async with transaction(pool) as tx:
            await definitions.put_emails(tx, [an_email(WELCOME), an_email(FOLLOWUP)])
            await partition_lag.write(tx, dict.fromkeys(range(PARTITIONS), 0.0))
        return made

    async def define(self, flow: Flow) -> list[Any]:
        """Take a definition in; give what the partitions are told."""
        message = FlowDefined(id=uuid4(), time=NOW, workspace_id=WORKSPACE, flow=flow)
        async with transaction(self.pool) as tx:
            outgoing = await flow_definitions.handle_batch(
                tx,
                [Received(message, 0)],
                clock=self.clock,  # type: ignore[arg-type]
                partitions=PARTITIONS,
            )
        return [one.message for one in outgoing]

    async def act(self, *commands: StepCommand, page: int = 500) -> list[Any]:
        """Act on commands as one batch; give the messages they cause."""
        async with transaction(self.pool) as tx:
            outgoing = await step_commands.handle_batch(
                tx,
                [Received(command, 0) for command in commands],
                clock=self.clock,  # type: ignore[arg-type]
                flows=self.flows,
                members_per_page=page,
            )
        return [getattr(one, "message", one) for one in outgoing]

    @property
    def recording(self) -> RecordResults:
        return RecordResults(self.pool, self.flows, self.clock)  # type: ignore[arg-type]

    async def live(self) -> list[Any]:
        return list(await self.pool.fetch("SELECT * FROM membership ORDER BY entered_at"))

    async def ended(self) -> list[Any]:
        return list(await self.pool.fetch("SELECT * FROM ended_membership ORDER BY entered_at"))

    async def deliveries(self) -> list[Any]:
        return list(await self.pool.fetch("SELECT * FROM delivery ORDER BY planned_at, hop"))

    async def ended_deliveries(self) -> list[Any]:
        return list(await self.pool.fetch("SELECT * FROM ended_delivery ORDER BY archived_at"))

    async def crowd(self, count: int) -> list[DeliveryKey]:
        """Let so many contacts in, `<number>@example.com` from 100 on; name their first mails."""
        people = [UUID(int=100 + number) for number in range(count)]
        await self.act(*(created(one, email=f"{one.int}@example.com") for one in people))
        await self.act(*(enroll(one) for one in people))
        rows = await self.pool.fetch("SELECT * FROM membership ORDER BY contact_id")
        return [DeliveryKey(row["membership_id"], row["hop"]) for row in rows]

    async def statuses(self) -> list[str]:
        """In which states the deliveries are."""
        return sorted(row["status"] for row in await self.deliveries())

    async def time_for_retries(self) -> None:
        """Let the time pass until what waits for another attempt may be claimed."""
        await self.pool.execute(
            "UPDATE delivery SET status = 'pending', next_attempt_at = now() WHERE status = 'later'"
        )

    async def mailing(self, contact: UUID = CONTACT, workspace: UUID = WORKSPACE) -> DeliveryKey:
        """Let a contact in, so that its first mail is planned."""
        await self.act(created(contact, workspace), enroll(contact, workspace=workspace))
        row = await self.pool.fetchrow(
            "SELECT membership_id, hop FROM membership WHERE contact_id = $1 AND workspace_id = $2",
            contact, workspace,
        )  # fmt: skip
        assert row is not None
        return DeliveryKey(row["membership_id"], row["hop"])


def an_email(email_id: UUID, **changes: Any) -> EmailContent:
    whole = {
        "email_id": email_id,
        "version": 1,
        "subject": "Hello {{contact.firstName:default=there}}",
        "from_name": "Me",
        "from_address": "me@example.com",
        "html": "<p>Welcome!</p>",
        **changes,
    }
    return EmailContent.model_validate(whole)


def envelope(contact: UUID = CONTACT, workspace: UUID = WORKSPACE) -> dict[str, Any]:
    return {"id": uuid4(), "time": NOW, "workspace_id": workspace, "contact_id": contact}


def cloud(contact: UUID = CONTACT, workspace: UUID = WORKSPACE) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "source": "/t", "subject": contact, "time": NOW,
        "workspaceid": workspace,
    }  # fmt: skip


def observed(event: ContactEvent, *starts: Flow) -> Observe:
    return Observe(
        **envelope(event.subject, event.workspaceid),
        event=event,
        starts=[
            FlowStart(flow_id=one.flow_id, min_flow_version=one.version, trigger_type="x")
            for one in starts
        ],
    )


def created(
    contact: UUID = CONTACT, workspace: UUID = WORKSPACE, *starts: Flow, **fields: Any
) -> Observe:
    data = {"fields": {"email": "a@b.c", **fields}}
    event = ContactCreated.model_validate({**cloud(contact, workspace), "data": data})
    return observed(event, *starts)


def enroll(contact: UUID = CONTACT, source: str = "e1", **more: Any) -> Enroll:
    workspace = more.pop("workspace", WORKSPACE)
    whole = {
        "flow_id": FLOW,
        "min_flow_version": 1,
        "source_id": source,
        "entry_source": "x",
        **more,
    }
    return Enroll(**envelope(contact, workspace), **whole)


def of(kind: type[Any], messages: list[Any]) -> list[Any]:
    return [one for one in messages if isinstance(one, kind)]


def timeline_of(messages: list[Any]) -> list[TimelineEntry]:
    return [entry for one in of(MembershipChanged, messages) for entry in one.timeline]
