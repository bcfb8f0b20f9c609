"""Pure parts of the API."""

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, TypeAdapter

from libs.contracts.command_replies import CommandDone, DefinitionApplied
from libs.contracts.membership_events import MembershipChanged, MembershipState, TimelineEntry
from libs.domain.step import Edge, Step
from services.api.handlers.membership_events import count_changes, updates_of
from services.api.http.paging import Page
from services.api.store.counts import Counts
from services.api.store.memberships import Known, run_status
from services.api.use_cases import flow_steps
from services.api.use_cases.content import emails_of, read_content, stored_content
from services.api.use_cases.erasure import impersonal
from services.api.use_cases.flow_steps import Placement, inserted, merged, without
from services.api.use_cases.memberships import check_context
from services.api.use_cases.problems import Problem
from services.api.use_cases.replies import Replies
from tests.support.builders import (
    CONTACT,
    FLOW,
    FOLLOWUP,
    NOW,
    WELCOME,
    WELCOME_STEPS,
    WORKSPACE,
    Json,
)


def steps() -> list[Json]:
    return [dict(step) for step in WELCOME_STEPS]


def ids(found: list[Json]) -> list[str]:
    return [step["step_id"] for step in found]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"steps": [{**WELCOME_STEPS[1], "duration_unit": "years"}]}, "steps.0.duration_unit"),
        ({"steps": [{"type": "wait"}]}, "steps.0.step_id"),
        ({"steps": [{**WELCOME_STEPS[2], "condition": {"kind": "group", "conditions": [
            {"kind": "condition", "source": "contact_field", "field": "city",
             "operator": "sounds_like", "value": "x"}]}}]},
         "steps.0.condition.conditions.0.operator"),
        ({"name": 7}, "name"),
        ({"colour": "red"}, "colour"),
        ({"steps": [{**WELCOME_STEPS[1], "colour": "red"}]}, "steps.0.colour"),
        ({"steps": [{"step_id": "s", "type": "telepathy"}]}, "steps.0.type"),
        ({"triggers": [{"type": "telepathy"}]}, "triggers.0.type"),
    ],
)  # fmt: skip
def test_problems_name_the_field_as_the_sender_knows_it(changes: Json, path: str) -> None:
    with pytest.raises(Problem) as caught:
        read_content({"name": "x", **changes})
    assert caught.value.details is not None
    assert caught.value.details["issues"][0]["path"] == path


def test_duplicate_steps_are_a_conflict() -> None:
    with pytest.raises(Problem) as caught:
        read_content({"name": "x", "steps": [WELCOME_STEPS[1], WELCOME_STEPS[1]]})
    assert caught.value.code == "campaign_flow_duplicate_step_id"


def test_what_a_newer_version_stored_can_be_read() -> None:
    telepathy = {"step_id": "s", "type": "telepathy", "to": "x", "next_step_id": "w"}
    stored = {"name": "x", "colour": "red", "steps": [telepathy, *WELCOME_STEPS]}
    assert emails_of(stored_content(stored)) == {WELCOME, FOLLOWUP}


def test_steps_are_inserted_where_asked() -> None:
    new = {"step_id": "new", "type": "drop_from_flow"}
    assert ids(inserted(steps(), new, Placement()))[-1] == "new"
    assert ids(inserted(steps(), new, Placement(at_start=True)))[0] == "new"
    assert ids(inserted(steps(), new, Placement(before_step_id="wait-3-days")))[1] == "new"
    assert ids(inserted(steps(), new, Placement(after_step_id="wait-3-days")))[2] == "new"
    with pytest.raises(Problem, match="nowhere"):
        inserted(steps(), new, Placement(after_step_id="nowhere"))


def test_steps_are_merged() -> None:
    changed = merged(steps(), "wait-3-days", {"duration_amount": 5, "label": None})
    assert changed[1]["duration_amount"] == 5
    assert "label" not in changed[1]
    assert merged(steps(), "check-opened", {"true_step_id": None})[2]["true_step_id"] is None
    ended = merged(steps(), "check-opened", {"true_step_id": None})
    assert merged(ended, "check-opened", {"label": "Opened?"})[2]["true_step_id"] is None
    with pytest.raises(Problem, match=r"step\.type"):
        merged(steps(), "wait-3-days", {"type": "send_email"})


def test_steps_are_deleted_with_their_edges_repaired() -> None:
    with pytest.raises(Problem) as caught:
        without(steps(), "check-opened", None)
    assert caught.value.code == "campaign_flow_step_referenced"
    repaired = without(steps(), "check-opened", {"replace_with_step_id": "send-followup"})
    assert repaired[1]["next_step_id"] == "send-followup"
    detached = without(steps(), "check-opened", {"replace_with_step_id": None})
    assert detached[1]["next_step_id"] is None


class Arm(BaseModel):
    """A way out of a split."""

    next_step_id: str | None = None


class SplitStep(Step):
    """A step whose edges stand deep in its document."""

    type: Literal["split"]
    arms: list[Arm] = []
    default_step_id: str | None = None

    def edges(self) -> tuple[Edge, ...]:
        """Give an edge per arm, and the one for the rest."""
        arms = [
            Edge(f"arm:{at}", f"arms.{at}.next_step_id", arm.next_step_id)
            for at, arm in enumerate(self.arms)
        ]
        return (*arms, Edge("default", "default_step_id", self.default_step_id))


@pytest.fixture
def split(monkeypatch: pytest.MonkeyPatch) -> list[Json]:
    """A split of two arms, both of which lead to `a`, in a flow with `a` and `b`."""
    monkeypatch.setattr(flow_steps, "STEP", TypeAdapter(SplitStep))
    arms = [{"weight": 1, "next_step_id": "a"}, {"weight": 2, "next_step_id": "a"}]
    return [
        {"step_id": "s", "type": "split", "arms": arms, "default_step_id": None},
        {"step_id": "a", "type": "split"},
        {"step_id": "b", "type": "split"},
    ]


def test_edges_deep_in_a_step_are_found_and_repaired(split: list[Json]) -> None:
    with pytest.raises(Problem) as caught:
        without(split, "a", None)
    assert caught.value.code == "campaign_flow_step_referenced"
    arms = without(split, "a", {"replace_with_step_id": "b"})[0]["arms"]
    assert arms == [{"weight": 1, "next_step_id": "b"}, {"weight": 2, "next_step_id": "b"}]
    assert split[0]["arms"][0]["next_step_id"] == "a"
    assert ids(without(split, "b", None)) == ["s", "a"]


def test_edges_that_lead_nowhere_stay_when_a_step_is_merged(split: list[Json]) -> None:
    changed = merged(split, "s", {"default_step_id": None, "label": None})[0]
    assert "label" not in changed
    assert changed["default_step_id"] is None


def test_repairing_adds_no_edge_that_was_not_there() -> None:
    check = {"step_id": "c", "type": "condition_check", "default_step_id": "w"}
    (repaired,) = without([check, WELCOME_STEPS[1] | {"step_id": "w"}], "w",
                          {"replace_with_step_id": None})  # fmt: skip
    assert repaired == {**check, "default_step_id": None}


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
    assert count_changes(entered) == {FLOW: Counts(entered=1, waiting=1, last_entry_at=NOW)}
    ended = updates_of([changed("completed", 5)], known("waiting", 3))
    assert count_changes(ended) == {FLOW: Counts(waiting=-1, completed=1)}
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
