"""Who is on a dynamic list: judged when it is asked, contact by contact."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from libs.domain.predicates import CompiledSegments, compile_rule
from libs.domain.rules import AnyRule, ListMembership, nodes_of
from services.api.store import directory
from services.api.store.contact_lists import StoredList
from services.api.store.directory import Place, StoredContact
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.contact_lists import rules_of

MOST_JUDGED = 1000
"""How many contacts one call judges at most; the next one goes on where it stopped."""
_LEAST_JUDGED = 50
_MOST_CONDITIONS = 100_000
"""How many conditions and groups one call judges at most, if that is fewer contacts."""
_PAGE = 250


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found, and after which contact it goes on; None at the end of all contacts."""

    found: list[StoredContact]
    stopped_at: Place | None


async def members(
    app_context: AppContext, wanted: StoredList, after: Place | None, at_most: int
) -> Search:
    """Look through contacts, newest first, for those on a dynamic list.

    It reads no more than `MOST_JUDGED` contacts, fewer where the rules are long, so it may find
    fewer than `at_most`, or none, and still not be at the end. What cannot be judged is no
    membership.
    """
    workspace_id = wanted.workspace_id
    fields = await directory.custom_field_definitions(app_context.pool, workspace_id)
    trees = await rules_of(app_context.pool, workspace_id, [wanted.list_id])
    is_member = compile_rule(_on(wanted.list_id), fields, CompiledSegments(trees, fields))
    now, found, left = app_context.clock.now(), list[StoredContact](), _budget(trees.values())
    while left:
        asked = min(left, _PAGE)
        page = await directory.newest(app_context.pool, workspace_id, after, asked)
        for contact in page:
            after = (contact.created_at, contact.snapshot.contact_id)
            if is_member(contact.snapshot, now).outcome:
                found.append(contact)
                if len(found) == at_most:
                    return Search(found, after)
        if len(page) < asked:
            return Search(found, None)
        left -= asked
    return Search(found, after)


def _budget(trees: Iterable[AnyRule | None]) -> int:
    """Say how many contacts one call may judge."""
    nodes = sum(1 for tree in trees if tree for _ in nodes_of(tree))
    return max(_LEAST_JUDGED, min(MOST_JUDGED, _MOST_CONDITIONS // max(nodes, 1)))


def _on(list_id: UUID) -> ListMembership:
    """Ask what a flow would ask: is the contact on this list."""
    return ListMembership(
        kind="condition", source="list_membership", list_id=list_id, operator="is_member"
    )
