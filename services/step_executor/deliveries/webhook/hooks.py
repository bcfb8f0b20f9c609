"""The steps that call addresses, as the newest definitions of their flows have them."""

from collections import OrderedDict
from uuid import UUID

from libs.chassis.postgres.pool import Pool
from libs.domain.steps.send_webhook import SendWebhookStep
from services.step_executor.deliveries.webhook.payload import CannotCall, Hook
from services.step_executor.store import definitions

_AT_MOST = 2000


class Hooks:
    """Steps by flow and id, those used last; read when a newer version is asked for."""

    def __init__(self, pool: Pool, at_most: int = _AT_MOST) -> None:
        self._pool = pool
        self._at_most = at_most
        self._kept: OrderedDict[tuple[UUID, str], tuple[int, Hook | None]] = OrderedDict()

    async def get(self, flow_id: UUID, step_id: str, version: int) -> Hook:
        """Give a step, of this version of its flow or a newer one.

        Raises:
            CannotCall: If the flow has no such step any more.
        """
        key = (flow_id, step_id)
        known = self._kept.get(key)
        if known is None or known[0] < version:
            known = await self._read(flow_id, step_id)
            self._kept[key] = known
        self._kept.move_to_end(key)
        while len(self._kept) > self._at_most:
            self._kept.popitem(last=False)
        if known[1] is None:
            raise CannotCall("step_removed")
        return known[1]

    async def _read(self, flow_id: UUID, step_id: str) -> tuple[int, Hook | None]:
        flow = await definitions.flow(self._pool, flow_id)
        if flow is None:
            return 0, None
        step = flow.steps_by_id.get(step_id)
        return flow.version, Hook.of(step) if isinstance(step, SendWebhookStep) else None
