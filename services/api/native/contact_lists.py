"""`/v1/lists`: static and dynamic lists of contacts, and who is on them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from services.api.http.cursors import MOST_COUNTED, CursorPage, cursor_after
from services.api.http.keys import ContextParam, Workspace
from services.api.http.paging import Page
from services.api.native import bulk, serializers
from services.api.native.bulk import Json
from services.api.native.rules import AudienceRules, compiled
from services.api.store import contact_lists as store
from services.api.store.contact_lists import ListContent, StoredList
from services.api.use_cases import audiences
from services.api.use_cases import contact_lists as lists
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.bodies import read_body
from services.api.use_cases.problems import Problem, invalid

router = APIRouter(prefix="/v1/lists")
Name = Annotated[str, Field(min_length=1, max_length=255)]
Description = Annotated[str, Field(max_length=1000)]
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Members of a static list stand in the order of their ids, whenever they came."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListDraft(_Body):
    """A list; its id may be the caller's own. A dynamic one has rules, a static one has none."""

    name: Name
    kind: Literal["static", "dynamic"] = "static"
    description: Description | None = None
    rules: AudienceRules | None = None
    list_id: UUID | None = None

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        if (self.kind == "dynamic") is not (self.rules is not None):
            raise ValueError("rules: a dynamic list has rules, a static one has none")
        return self


class ListPatch(_Body):
    """What changes of a list; its kind never does."""

    name: Name = ""
    description: Description | None = None
    rules: AudienceRules | None = None


class Members(_Body):
    """Contacts to put on a list or take off."""

    contact_ids: Annotated[list[UUID], Field(min_length=1, max_length=500)]


@router.post("", status_code=201)
async def create_list(
    app_context: ContextParam, workspace: Workspace, _body: ListDraft, request: Request
) -> Json:
    """Create a list, or name one that only events have named so far by its id.

    A static list with this id that has a name already stays as it is; the answer shows it.
    """
    sent = await request.json()
    draft = read_body(ListDraft, sent)
    rules = compiled(draft.rules) if draft.rules else None
    content = ListContent(draft.name, draft.description, rules, sent.get("rules"))
    list_id = draft.list_id or uuid4()
    with _in_camel_case():
        created = await lists.create(app_context, workspace, list_id, content)
    return serializers.contact_list(created)


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which lists to give."""

    kind: Literal["static", "dynamic", "any"] = "any"
    search: Annotated[str | None, Query(max_length=200)] = None

    def query(self) -> Json:
        """Write it as the store takes it."""
        kinds = ["static", "dynamic"] if self.kind == "any" else [self.kind]
        return {"kinds": kinds, "search": self.search}


@router.get("")
async def list_lists(
    app_context: ContextParam,
    workspace: Workspace,
    page: Annotated[Page, Depends()],
    wanted: Annotated[ListFilter, Depends()],
) -> Json:
    """List lists, oldest first."""
    found, total = await store.page(
        app_context.pool, workspace_id=workspace, **wanted.query(), **page.query()
    )
    return page.listed("lists", [serializers.contact_list(one) for one in found], total)


@router.get("/{list_id}")
async def read_list(app_context: ContextParam, workspace: Workspace, list_id: UUID) -> Json:
    """Give one list."""
    return serializers.contact_list(await lists.read(app_context.pool, workspace, list_id))


@router.patch("/{list_id}")
async def change_list(
    app_context: ContextParam,
    workspace: Workspace,
    list_id: UUID,
    _body: ListPatch,
    request: Request,
) -> Json:
    """Rename a list, describe it anew, or give a dynamic one other rules."""
    sent = await request.json()
    read = read_body(ListPatch, sent)
    changes = read.model_dump(exclude_unset=True, exclude={"rules"})
    if "rules" in sent:
        changes["rules"] = compiled(read.rules) if read.rules else None
        changes["written"] = sent["rules"]
    with _in_camel_case():
        changed = await lists.change(app_context, workspace, list_id, changes)
    return serializers.contact_list(changed)


@contextlib.contextmanager
def _in_camel_case() -> Iterator[None]:
    """Name what is wrong in a rule as it is written here (README.md)."""
    try:
        yield
    except Problem as problem:
        for issue in (problem.details or {}).get("issues", []):
            *above, name = issue["path"].split(".")
            issue["path"] = ".".join([*above, to_camel(name)])
        raise


@router.get("/{list_id}/contacts")
async def list_members(
    app_context: ContextParam,
    workspace: Workspace,
    list_id: UUID,
    page: Annotated[CursorPage, Depends()],
) -> Json:
    """List the contacts on a list; on a dynamic one, those a bounded search comes by."""
    wanted = await lists.read(app_context.pool, workspace, list_id)
    listed = _static if wanted.kind == "static" else _dynamic
    return await listed(app_context, wanted, page)


async def _static(app_context: AppContext, wanted: StoredList, page: CursorPage) -> Json:
    after = page.after_contact()
    found = await store.members(
        app_context.pool,
        workspace_id=wanted.workspace_id,
        list_id=wanted.list_id,
        after_id=after[1] if after else None,
        at_most=page.limit + 1,
        skip=page.skip,
    )
    total = await store.count_members(
        app_context.pool, wanted.workspace_id, wanted.list_id, MOST_COUNTED + 1
    )
    shown = found[: page.limit]
    last = shown[-1] if len(found) > page.limit else None
    onward = cursor_after(_NO_TIME, last.snapshot.contact_id) if last else None
    return page.listed("contacts", [serializers.contact(one) for one in shown], total, onward)


async def _dynamic(app_context: AppContext, wanted: StoredList, page: CursorPage) -> Json:
    if page.page > 1:
        raise invalid("page", "a dynamic list is judged as one goes: go on by next_cursor")
    search = await audiences.members(app_context, wanted, page.after_contact(), page.limit)
    rows = [serializers.contact(one) for one in search.found]
    onward = cursor_after(*search.stopped_at) if search.stopped_at else None
    return page.listed("contacts", rows, None, onward)


@router.post("/{list_id}/contacts")
async def put_many_on_list(
    app_context: ContextParam, workspace: Workspace, list_id: UUID, body: Members
) -> Json:
    """Put contacts on a list."""
    outcomes = await lists.put_on(app_context, workspace, list_id, body.contact_ids)
    return bulk.answer(body.contact_ids, body.contact_ids, outcomes)


@router.delete("/{list_id}/contacts")
@router.post("/{list_id}/contacts/remove")
async def take_many_off_list(
    app_context: ContextParam, workspace: Workspace, list_id: UUID, body: Members
) -> Json:
    """Take contacts off a list."""
    outcomes = await lists.take_off(app_context, workspace, list_id, body.contact_ids)
    return bulk.answer(body.contact_ids, body.contact_ids, outcomes)


@router.post("/{list_id}/contacts/{contact_id}")
async def put_on_list(
    app_context: ContextParam, workspace: Workspace, list_id: UUID, contact_id: UUID
) -> Json:
    """Put a contact on a list."""
    (outcome,) = await lists.put_on(app_context, workspace, list_id, [contact_id])
    return _moved(list_id, contact_id, outcome, member=True)


@router.delete("/{list_id}/contacts/{contact_id}")
async def take_off_list(
    app_context: ContextParam, workspace: Workspace, list_id: UUID, contact_id: UUID
) -> Json:
    """Take a contact off a list."""
    (outcome,) = await lists.take_off(app_context, workspace, list_id, [contact_id])
    return _moved(list_id, contact_id, outcome, member=False)


def _moved(list_id: UUID, contact_id: UUID, outcome: UUID | Problem, *, member: bool) -> Json:
    if isinstance(outcome, Problem):
        raise outcome
    return {"list_id": str(list_id), "contact_id": str(contact_id), "member": member}
