"""Pure parts of the API."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.command_replies import CommandDone, DefinitionApplied
from libs.contracts.membership_events import MembershipChanged, MembershipState, TimelineEntry
from services.api.handlers.membership_events import count_changes, updates_of
from services.api.http.paging import Page
from services.api.store.counts import CountChange
from services.api.store.memberships import Known, run_status
from services.api.use_cases.erasure import impersonal
from services.api.use_cases.memberships import check_context
from services.api.use_cases.problems import Problem
from services.api.use_cases.replies import Replies
from tests.support.builders import (
    CONTACT,
    FLOW,
    NOW,
    WORKSPACE,
    Json,
)


@pytest.mark.parametrize("context", [{"a b": 1}, {"a": {}}, {"a": "x" * 17_000}])
def test_dynamic_contexts_have_limits(context: Json) -> None:
    with pytest.raises(Problem, match="dynamic_context"):
        check_context(context)
    check_context({"couponCode": "SAVE20", "n": 3, "ok": True, "none": None})


def changed(status: str, sequence: int, **changes: Any) -> MembershipChanged:
    state: Json = {
        "membership_id": UUID(int=7), "flow_id": FLOW, "contact_id": CONTACT, "sequence": sequence,
        "status": status, "current_step_id": None, "waiting_until": None, "entry_source": "x",
        "dynamic_context": {}, "entered_at": NOW, "ended_at": None, "drop_reason": None,
        "updated_at": NOW, **changes,
    }  # fmt: skip
    return MembershipChanged(
        id=UUID(int=8),
        time=NOW,
        workspace_id=WORKSPACE,
        contact_id=CONTACT,
        membership=MembershipState.model_validate(state),
        timeline=[TimelineEntry(sequence=sequence, kind="waiting", at=NOW)],
    )


def known(status: str, sequence: int) -> dict[UUID, Known]:
    return {UUID(int=7): Known(sequence, NOW, status)}


def test_counts_change_by_what_a_membership_was_and_is() -> None:
    entered = updates_of([changed("waiting", 1)], {})
    assert count_changes(entered) == {
        FLOW: CountChange(entered=1, waiting=1, first_entry_at=NOW, last_entry_at=NOW)
    }
    ended = updates_of([changed("completed", 5)], known("waiting", 3))
    assert count_changes(ended) == {FLOW: CountChange(waiting=-1, completed=1)}
    assert count_changes(updates_of([changed("waiting", 5)], known("waiting", 3))) == {}


def test_only_what_is_newer_counts() -> None:
    assert updates_of([changed("waiting", 3)], known("completed", 5)) == []
    assert updates_of([changed("waiting", 3)], known("waiting", 3)) == []
    later = NOW + timedelta(seconds=1)
    (update,) = updates_of([changed("active", 3, updated_at=later)], known("waiting", 3))
    assert (update.state.status, update.entries) == ("active", [])
    (update,) = updates_of([changed("waiting", 1), changed("waiting", 2)], {})
    assert (update.state.sequence, [one.sequence for one in update.entries]) == (2, [1, 2])


def test_what_goes_on_after_a_beginning_that_is_not_kept_counts_for_nothing() -> None:
    assert updates_of([changed("completed", 5), changed("completed", 6)], {}) == []
    parked = changed("active", 5).model_copy(update={"timeline": []})
    assert len(updates_of([parked], {})) == 1


@pytest.mark.parametrize(
    ("details", "kept"),
    [
        ({"outcome": "true", "judged": [{"asked": "city", "saw": "Rome"}]}, {"outcome": "true"}),
        ({"url": "https://x.example"}, {}),
        ({"reason": "550 ada@x.example is unknown"}, {}),
        ({"reason": "contact_deleted"}, {"reason": "contact_deleted"}),
        ({"reason": None, "until": "2026-07-02"}, {"until": "2026-07-02"}),
        ({"source": "contact_created"}, {"source": "contact_created"}),
    ],
)
def test_a_timeline_without_the_person_still_says_what_happened(details: Json, kept: Json) -> None:
    entry = TimelineEntry(sequence=1, kind="k", at=NOW, step_id="s", label="S", details=details)
    assert impersonal(entry) == entry.model_copy(update={"details": kept})


async def test_answers_go_to_those_who_wait() -> None:
    replies, asked = Replies(), UUID(int=1)
    base: Json = {"id": UUID(int=9), "time": NOW, "workspace_id": WORKSPACE}
    done = CommandDone(**base, command_id=asked, membership=changed("waiting", 1).membership)
    async with replies.to_command(asked) as answers:
        replies.receive([CommandDone(**base, command_id=UUID(int=2)), done])
        assert answers.get_nowait() == done
    with replies.to_definition(FLOW, 2) as applied:
        for service, version in (("trigger_matcher", 2), ("step_executor", 1)):
            replies.receive([applied_by(base, service, version)])
        assert not applied.is_set()
        replies.receive([applied_by(base, "step_executor", 2)])
        assert applied.is_set()


def applied_by(base: Json, service: str, version: int) -> DefinitionApplied:
    whole = {**base, "flow_id": FLOW, "version": version, "service": service}
    return DefinitionApplied.model_validate(whole)


def test_run_status_and_pages() -> None:
    assert run_status("waiting", None) == "in_flow"
    assert run_status("dropped", "going_in_circles") == "failed"
    assert run_status("dropped", "removed_by_api") == "exited_flow"
    assert Page(3, 25).query() == {"at_most": 25, "skip": 50}
    pagination = {"page": 1, "limit": 25, "total": 51, "total_pages": 3}
    assert Page(1, 25).listed("rows", [], 51) == {"rows": [], "pagination": pagination}
