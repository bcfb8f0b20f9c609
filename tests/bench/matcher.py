"""A trigger matcher that starts with very many flows: how soon it is ready, and how large.

Ready is what it says of itself. A matcher may read its flows only when it needs them, so an event
is published then, and the same is asked again when it has been matched.
"""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import httpx
from confluent_kafka import Consumer, TopicPartition

from libs.chassis.postgres.pool import open_pool, transaction
from libs.domain.flow import Flow
from libs.domain.matching import FlowTriggers
from libs.local.children import Child
from libs.local.outside import Outside
from libs.local.ports import HOST
from libs.local.stack import Stack
from services.trigger_matcher.store import definitions
from tests.bench.cpu import resident_megabytes
from tests.bench.ground import STACK_PARTITIONS, Ground
from tests.bench.report import Goal, Report
from tests.support.builders import OPENED, Json

FLOWS = 10_000
STEPS = 20
_AT_ONCE = 500
_PATIENCE_SECONDS = 600.0
_MATCHER = "trigger_matcher"


def bench_matcher(ground: Ground) -> None:
    """From the start of the process to ready, and to the first event it has matched."""
    with ground.stack() as stack, Outside(stack) as outside:
        for service in stack.services.values():
            service.terminate()
        lists = [str(uuid4()) for _ in range(FLOWS)]
        asyncio.run(_keep(stack, [_flow(stack, list_id) for list_id in lists]))
        child, began = stack.services[_MATCHER], time.monotonic()
        child.start()
        _wait_ready(stack, child)
        _tell(ground.report, "ready", child, began)
        outside.publish("list.contact_added", outside.new_contact_id(), {"list_id": lists[-1]})
        outside.flush()
        child.wait_until(partial(_has_spoken, stack), _PATIENCE_SECONDS)
        _tell(ground.report, "first event matched", child, began)


def _tell(report: Report, when: str, child: Child, began: float) -> None:
    seconds, megabytes = time.monotonic() - began, resident_megabytes(child.pid)
    report.add(f"matcher start, {when}", seconds, "s", Goal(at_most=5))
    report.add(f"matcher start, memory at {when}", megabytes, "MB", Goal(at_most=250))


def _wait_ready(stack: Stack, child: Child) -> None:
    url = f"http://{HOST}:{stack.ports[_MATCHER]}/health/ready"
    with httpx.Client(timeout=60) as client:
        child.wait_until(lambda: _answers(client, url), _PATIENCE_SECONDS)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def _has_spoken(stack: Stack) -> bool:
    """Say whether the matcher has said anything to the executor, by where the topic ends."""
    consumer = Consumer(
        {"bootstrap.servers": stack.bootstrap_servers, "group.id": "bench", "log_level": 0}
    )
    places = [TopicPartition("step.commands", number) for number in range(STACK_PARTITIONS)]
    ends = [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
    consumer.close()
    return sum(ends) > 0


async def _keep(stack: Stack, flows: list[Flow]) -> None:
    """Put the definitions where the matcher keeps them, as it would itself."""
    async with open_pool(stack.postgres.url(_MATCHER)) as pool:
        for first in range(0, len(flows), _AT_ONCE):
            async with transaction(pool) as tx:
                await definitions.put(
                    tx, [FlowTriggers.of(flow) for flow in flows[first : first + _AT_ONCE]]
                )


def _flow(stack: Stack, list_id: str) -> Flow:
    return Flow.model_validate(
        {
            "flow_id": uuid4(),
            "workspace_id": stack.workspace_id,
            "version": 1,
            "status": "active",
            "name": f"For {list_id}",
            "triggers": [{"type": "added_to_static_list", "list_id": list_id}],
            "steps": list(_steps()),
        }
    )


def _steps() -> Iterator[Json]:
    """Write mails, waits and rules in turn, each leading to the next."""
    for number in range(STEPS):
        own, following = f"step-{number}", f"step-{number + 1}" if number + 1 < STEPS else None
        match number % 3:
            case 0:
                yield {"step_id": own, "type": "send_email", "email_id": str(uuid4()),
                       "edges": {"next": following}}  # fmt: skip
            case 1:
                yield {"step_id": own, "type": "wait", "duration_amount": 3,
                       "duration_unit": "days", "edges": {"next": following}}  # fmt: skip
            case _:
                opened = {**OPENED, "step_id": "step-0"}
                yield {"step_id": own, "type": "condition_check", "edges": {"default": following},
                       "condition": {"kind": "group", "operator": "and",
                                     "conditions": [opened]}}  # fmt: skip
