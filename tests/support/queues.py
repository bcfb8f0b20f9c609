"""Queues of deliveries, made long at once by the database itself."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from libs.chassis.postgres.pool import Pool
from tests.support.builders import FLOW, WELCOME, WORKSPACE

_WITHOUT_LIMIT = "SET statement_timeout = 0"
_CONTACTS = """
    INSERT INTO contact (partition, workspace_id, contact_id, fields, custom_fields, lists)
    SELECT n % 2, lpad(to_hex($3 + n % $2), 32, '0')::uuid, md5('run ' || n)::uuid,
           jsonb_build_object('email', n || '@example.com'), '{}', '{}'
      FROM generate_series($4::bigint, $4 + $1 - 1) AS n"""
_MEMBERSHIPS = """
    INSERT INTO membership (
           membership_id, partition, workspace_id, flow_id, contact_id, entry_source, entered_at,
           updated_at, status, waiting_on, hop, step_id, stood_at, listens, keying,
           dynamic_context, engagement, sequence)
    SELECT md5('run ' || n)::uuid, n % 2, lpad(to_hex($3 + n % $2), 32, '0')::uuid, $5,
           md5('run ' || n)::uuid, 'x', now(), now(), 'active', 'delivery', 1, 'send-welcome',
           now(), '{}', 1, '{}', '{}', 1
      FROM generate_series($4::bigint, $4 + $1 - 1) AS n"""
_DELIVERIES = """
    INSERT INTO delivery (
           membership_id, hop, partition, workspace_id, contact_id, flow_id, step_id, email_id,
           operational, dynamic_context)
    SELECT md5('run ' || n)::uuid, 1, n % 2, lpad(to_hex($3 + n % $2), 32, '0')::uuid,
           md5('run ' || n)::uuid, $5, 'send-welcome', $6, false, '{}'
      FROM generate_series($4::bigint, $4 + $1 - 1) AS n"""
_ENDED = """
    INSERT INTO ended_membership (
           archived_at, membership_id, partition, workspace_id, flow_id, contact_id, entry_source,
           entered_at, updated_at, status, hop, step_id, dynamic_context, engagement, sequence,
           ended_at)
    SELECT now() - (n % $4) * interval '30 days', md5('ended ' || n)::uuid, n % 2, $3,
           CASE WHEN n % 3 = 0 THEN $5 ELSE md5('flow ' || n % 7)::uuid END,
           md5('person ' || n % $2)::uuid, 'x', now(), now(), 'completed', 2, 'wait', '{}', '{}',
           4, now()
      FROM generate_series(1, $1::bigint) AS n"""
_PEOPLE = """
    INSERT INTO contact (partition, workspace_id, contact_id, fields, custom_fields, lists)
    SELECT 0, $2, md5('person ' || n)::uuid, jsonb_build_object('email', n || '@example.com'),
           '{}', '{}'
      FROM generate_series(0, $1::bigint - 1) AS n"""
_SOME_PEOPLE = "SELECT contact_id FROM contact ORDER BY contact_id LIMIT $1"


async def fill_queue(
    pool: Pool, count: int, *, workspaces: int = 1, first_workspace: int = 1, first: int = 0
) -> None:
    """Let so many contacts stand at the first mail of the welcome series, their deliveries pending.

    Args:
        pool: A migrated database.
        count: How many.
        workspaces: Over how many workspaces they are spread.
        first_workspace: The number of the first of these.
        first: The number of the first contact; its address is `<number>@example.com`.
    """
    spread = (count, workspaces, first_workspace, first)
    async with pool.acquire() as connection:
        await connection.execute(_WITHOUT_LIMIT)
        await connection.execute(_CONTACTS, *spread, timeout=3600)
        await connection.execute(_MEMBERSHIPS, *spread, FLOW, timeout=3600)
        await connection.execute(_DELIVERIES, *spread, FLOW, WELCOME, timeout=3600)
        await connection.execute("RESET statement_timeout")


def workspace(number: int) -> UUID:
    """Name a workspace by its number."""
    return UUID(int=number)


async def fill_ended_memberships(
    pool: Pool, count: int, people: int, months: int, make_partitions: Callable[[], Awaitable[None]]
) -> list[UUID]:
    """Let so many runs have ended, of these many people, over these many months; name some of them.

    Args:
        pool: A migrated database.
        count: How many runs.
        people: How many contacts.
        months: How far back the first ended.
        make_partitions: Makes the partitions of the months in which there is a run.
    """
    async with pool.acquire() as connection:
        await connection.execute(_WITHOUT_LIMIT)
        await connection.execute(_PEOPLE, people, WORKSPACE, timeout=3600)
        await connection.execute(_ENDED, months, people, WORKSPACE, months, FLOW)
        await make_partitions()
        await connection.execute("TRUNCATE ended_membership")
        await connection.execute(_ENDED, count, people, WORKSPACE, months, FLOW, timeout=3600)
        await connection.execute("RESET statement_timeout")
        rows = await connection.fetch(_SOME_PEOPLE, 5000)
    return [row["contact_id"] for row in rows]
