"""What both loops read, keep and say on: a record of some 300 bytes in, one of some 200 out.

It is decoded by pydantic and written by pydantic_core in both, so that they differ in nothing but
the loop around it.
"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json

from libs.chassis.postgres.pool import Transaction

PARTITIONS = 16
BATCH = 2000
_PEOPLE = 9973


class Activity(BaseModel):
    """Somebody did something; `number` tells the records apart."""

    number: int
    tenant_id: str
    contact_id: str
    type: str
    occurred_at: str
    properties: dict[str, Any]

    def said_on(self) -> bytes:
        """Write what is said because of it."""
        return to_json(
            {
                "run_id": self.number,
                "hop": 0,
                "tenant_id": self.tenant_id,
                "contact_id": self.contact_id,
                "flow_id": 7,
                "step_id": "step-1",
                "occurred_at": self.occurred_at,
            }
        )


ADAPTER: TypeAdapter[Activity] = TypeAdapter(Activity)


async def keep(tx: Transaction, activities: Sequence[Activity]) -> None:
    """Insert a row for each. A record that is applied twice fails here."""
    await tx.execute(
        "INSERT INTO heard (number, contact_id) SELECT * FROM unnest($1::bigint[], $2::text[])",
        [one.number for one in activities],
        [one.contact_id for one in activities],
    )


def record(number: int) -> tuple[int, str, bytes]:
    """Write a record: its partition, key and value."""
    contact_id = str(uuid5(UUID(int=1), str(number % _PEOPLE)))
    value = {
        "number": number,
        "tenant_id": "7f0f2b1e-9d0c-4f0e-8a6b-0d3c1f5f7a11",
        "contact_id": contact_id,
        "type": "Placed Order",
        "occurred_at": "2026-11-20T21:11:12.864Z",
        "properties": {
            "value": 129.9,
            "currency": "EUR",
            "items": [{"sku": "A-1", "qty": 2}],
            "source": "web",
        },
    }
    return number % PARTITIONS, contact_id, json.dumps(value).encode()
