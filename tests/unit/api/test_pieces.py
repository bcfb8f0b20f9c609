"""Pure parts of the API."""

from typing import Any
from uuid import UUID

import pytest

from libs.contracts.membership_events import MembershipMoved
from services.api.handlers.membership_events import count_changes, run_status
from services.api.http.paging import Page
from services.api.store.runs import Counts, Known
from services.api.use_cases.content import read_content
from services.api.use_cases.flow_steps import Placement, inserted, merged, without
from services.api.use_cases.members import check_context
from services.api.use_cases.problems import Problem
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME_STEPS, WORKSPACE, Json


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


@pytest.mark.parametrize("context", [{"a b": 1}, {"a": {}}, {"a": "x" * 17_000}])
def test_dynamic_contexts_have_limits(context: Json) -> None:
    with pytest.raises(Problem, match="dynamic_context"):
        check_context(context)
    check_context({"couponCode": "SAVE20", "n": 3, "ok": True, "none": None})


def moved(status: str, sequence: int) -> MembershipMoved:
    run: dict[str, Any] = {
        "membership_id": UUID(int=7), "flow_id": FLOW, "contact_id": CONTACT, "status": status,
        "current_step_id": None, "waiting_until": None, "entry_source": "x", "dynamic_context": {},
        "entered_at": NOW, "ended_at": None, "drop_reason": None, "updated_at": NOW,
    }  # fmt: skip
    whole = {
        "id": UUID(int=8), "time": NOW, "workspace_id": WORKSPACE, "contact_id": CONTACT,
        "membership_id": UUID(int=7), "sequence": sequence, "kind": "waiting", "run": run,
    }  # fmt: skip
    return MembershipMoved.model_validate(whole)


def test_counts_change_by_what_a_membership_was_and_is() -> None:
    key = UUID(int=7)
    entered = count_changes({key: moved("waiting", 3)}, {})
    assert entered == {FLOW: Counts(entered=1, waiting=1, last_entry_at=NOW)}
    ended = count_changes({key: moved("completed", 5)}, {key: Known(3, "waiting")})
    assert ended == {FLOW: Counts(waiting=-1, completed=1)}
    assert count_changes({key: moved("waiting", 3)}, {key: Known(5, "completed")}) == {
        FLOW: Counts()
    }


def test_run_status_and_pages() -> None:
    assert run_status("waiting", None) == "in_flow"
    assert run_status("dropped", "going_in_circles") == "failed"
    assert run_status("dropped", "removed_by_api") == "exited_flow"
    assert Page(3, 25).skip == 50
    assert Page(1, 25).pagination(51)["total_pages"] == 3
