"""Editing steps: replace all, insert, merge, delete, and give a step its mail."""

from typing import Any

import httpx
import pytest

from tests.support.native import (
    IN_ROME,
    NOBODY,
    OUT,
    WAIT,
    Json,
    a_draft,
    active,
    code,
    issue,
    new_email,
    readiness,
    refused,
    told,
)

SEND: Json = {"step_id": "send", "type": "send_email", "next_step_id": "wait-3-days"}
WAIT_3_DAYS: Json = {"step_id": "wait-3-days", "type": "wait", "duration_amount": 3,
                     "duration_unit": "days", "next_step_id": "check"}  # fmt: skip
CHECK: Json = {"step_id": "check", "type": "condition_check", "condition": IN_ROME,
               "true_step_id": "out", "default_step_id": "out"}  # fmt: skip
STEPS = [SEND, WAIT_3_DAYS, CHECK, OUT]
NEW: Json = {"step_id": "new", "type": "drop_from_flow"}


@pytest.fixture
def steps(api: httpx.Client) -> str:
    """The path of the steps of a new draft."""
    return f"{a_draft(api, steps=STEPS)}/steps"


def ids(flow: Json) -> list[str]:
    return [step["step_id"] for step in flow["steps"]]


def delete(api: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return api.request("DELETE", path, json=body)


def test_put_replaces_the_whole_list(api: httpx.Client, steps: str) -> None:
    """PUT /v1/email-flows/{flowId}/steps: replace the full list."""
    assert told(api.put(steps, json={"steps": [WAIT, OUT]}))["steps"] == [WAIT, OUT]
    for body, where in (
        ({}, "steps"),
        ({"steps": None}, "steps"),
        ({"steps": [], "triggers": []}, "triggers"),
        ({"steps": [{**WAIT, "colour": "red"}]}, "steps.0.colour"),
        ({"steps": [{**WAIT, "step_id": f"s{n}"} for n in range(101)]}, "steps"),
    ):
        assert issue(api.put(steps, json=body)) == refused(where)
    twice = api.put(steps, json={"steps": [WAIT, WAIT]})
    assert code(twice) == (409, "campaign_flow_duplicate_step_id")
    assert told(api.put(steps, json={"steps": []}))["steps"] == []


@pytest.mark.parametrize(
    ("placement", "expected"),
    [
        ({}, ["send", "wait-3-days", "check", "out", "new"]),
        ({"position": "end"}, ["send", "wait-3-days", "check", "out", "new"]),
        ({"position": "start"}, ["new", "send", "wait-3-days", "check", "out"]),
        ({"before_step_id": "check"}, ["send", "wait-3-days", "new", "check", "out"]),
        ({"after_step_id": "wait-3-days"}, ["send", "wait-3-days", "new", "check", "out"]),
        ({"after_step_id": "out"}, ["send", "wait-3-days", "check", "out", "new"]),
    ],
    ids=str,
)
def test_post_inserts_one_step(
    api: httpx.Client, steps: str, placement: Json, expected: list[str]
) -> None:
    """POST /v1/email-flows/{flowId}/steps: insert one step; edges are not rewritten."""
    flow = told(api.post(steps, json={"step": NEW, **placement}), 201)
    assert ids(flow) == expected
    assert [step for step in flow["steps"] if step != NEW] == STEPS


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "step"),
        ({"step": None}, "step"),
        (NEW, "step"),
        ({"step": {**NEW, "colour": "red"}}, "step.colour"),
        ({"step": {"step_id": "x", "type": "telepathy"}}, "step.type"),
        ({"step": NEW, "position": "middle"}, "position"),
        ({"step": NEW, "position": 2}, "position"),
        ({"step": NEW, "position": "end", "after_step_id": "send"}, "after_step_id"),
        ({"step": NEW, "before_step_id": "send", "after_step_id": "send"}, "after_step_id"),
        ({"step": NEW, "colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_what_cannot_be_inserted_is_refused_by_name(
    api: httpx.Client, steps: str, body: Json, where: str
) -> None:
    assert issue(api.post(steps, json=body)) == refused(where)


def test_inserting_beside_a_step_that_is_not_there(api: httpx.Client, steps: str) -> None:
    for selector in ("before_step_id", "after_step_id"):
        answer = api.post(steps, json={"step": NEW, selector: "nowhere"})
        assert code(answer) == (404, "campaign_flow_step_not_found")


def test_step_ids_stay_unique(api: httpx.Client, steps: str) -> None:
    again = api.post(steps, json={"step": {**NEW, "step_id": "send"}})
    assert code(again) == (409, "campaign_flow_duplicate_step_id")


def test_a_flow_holds_100_steps(api: httpx.Client) -> None:
    path = a_draft(api, steps=[{**WAIT, "step_id": f"s{n}"} for n in range(100)])
    assert issue(api.post(f"{path}/steps", json={"step": NEW})) == refused("steps")


def test_patch_merges_the_given_fields(api: httpx.Client, steps: str) -> None:
    """PATCH /v1/email-flows/{flowId}/steps/{stepId}: only the given fields are merged."""
    partial = {"duration_amount": 5, "duration_unit": "days"}
    flow = told(api.patch(f"{steps}/wait-3-days", json={"step": partial}))
    assert flow["steps"] == [SEND, {**WAIT_3_DAYS, **partial}, CHECK, OUT]
    same = told(api.patch(f"{steps}/wait-3-days", json={"step": {"type": "wait"}}))
    assert same["steps"] == flow["steps"]


def test_null_takes_an_optional_field_away_but_stays_where_it_is_an_edge(
    api: httpx.Client, steps: str
) -> None:
    told(api.patch(f"{steps}/wait-3-days", json={"step": {"label": "Three days"}}))
    partial = {"label": None, "next_step_id": None}
    flow = told(api.patch(f"{steps}/wait-3-days", json={"step": partial}))
    assert flow["steps"][1] == {**WAIT_3_DAYS, "next_step_id": None}


def test_a_wait_changes_its_mode_whole(api: httpx.Client, steps: str) -> None:
    both = {"until_date_field": "createdAt"}
    answer = api.patch(f"{steps}/wait-3-days", json={"step": both})
    assert issue(answer) == refused("step.until_date_field")
    partial = {**both, "duration_amount": None, "duration_unit": None}
    flow = told(api.patch(f"{steps}/wait-3-days", json={"step": partial}))
    assert flow["steps"][1] == {
        "step_id": "wait-3-days", "type": "wait", "next_step_id": "check",
        "until_date_field": "createdAt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "step"),
        ({"step": []}, "step"),
        ({"step": {"step_id": "other"}}, "step.step_id"),
        ({"step": {"type": "send_email"}}, "step.type"),
        ({"step": {"type": None}}, "step.type"),
        ({"step": {"duration_unit": "years"}}, "step.duration_unit"),
        ({"step": {"colour": "red"}}, "step.colour"),
        ({"step": {"label": "x"}, "after_step_id": "send"}, "after_step_id"),
        ({"duration_amount": 5}, "step"),
    ],
    ids=str,
)
def test_what_cannot_be_merged_is_refused_by_name(
    api: httpx.Client, steps: str, body: Json, where: str
) -> None:
    assert issue(api.patch(f"{steps}/wait-3-days", json=body)) == refused(where)


def test_deleting_a_step_that_others_lead_to(api: httpx.Client, steps: str) -> None:
    """DELETE /v1/email-flows/{flowId}/steps/{stepId}: refused unless `repair_edges` is given."""
    for body in ({}, {"repair_edges": None}):
        answer = delete(api, f"{steps}/wait-3-days", **body)
        assert code(answer) == (409, "campaign_flow_step_referenced")
    repair = {"replace_with_step_id": "check"}
    flow = told(delete(api, f"{steps}/wait-3-days", repair_edges=repair))
    assert flow["steps"] == [{**SEND, "next_step_id": "check"}, CHECK, OUT]


def test_null_detaches_the_dangling_edges(api: httpx.Client, steps: str) -> None:
    flow = told(delete(api, f"{steps}/out", repair_edges={"replace_with_step_id": None}))
    detached = {**CHECK, "true_step_id": None, "default_step_id": None}
    assert flow["steps"] == [SEND, WAIT_3_DAYS, detached]


def test_the_replacement_may_stand_in_the_address(api: httpx.Client, steps: str) -> None:
    flow = told(api.delete(f"{steps}/wait-3-days?replace_with_step_id=check"))
    assert flow["steps"][0]["next_step_id"] == "check"
    flow = told(api.delete(f"{steps}/check?replace_with_step_id="))
    assert flow["steps"][0]["next_step_id"] is None


def test_a_replacement_exists_and_is_not_the_deleted_step(api: httpx.Client, steps: str) -> None:
    unknown = delete(api, f"{steps}/check", repair_edges={"replace_with_step_id": "nowhere"})
    assert code(unknown) == (404, "campaign_flow_step_not_found")
    itself = delete(api, f"{steps}/check", repair_edges={"replace_with_step_id": "check"})
    assert issue(itself) == refused("repair_edges.replace_with_step_id")
    for body, where in (
        ({"repair_edges": {}}, "repair_edges.replace_with_step_id"),
        ({"repair_edges": {"replace_with_step_id": 7}}, "repair_edges.replace_with_step_id"),
        ({"repair_edges": "check"}, "repair_edges"),
        ({"colour": "red"}, "colour"),
    ):
        assert issue(delete(api, f"{steps}/check", **body)) == refused(where)


def test_a_way_from_a_step_to_itself_is_no_reference(api: httpx.Client) -> None:
    steps = f"{a_draft(api, steps=[{**WAIT, 'next_step_id': 'w'}, OUT])}/steps"
    assert ids(told(api.delete(f"{steps}/w"))) == ["out"]


def test_a_rule_about_a_deleted_mail_makes_the_flow_incomplete(api: httpx.Client) -> None:
    opened = {"kind": "condition", "source": "email_step", "nodeId": "send", "metric": "opened",
              "operator": "has_activity"}  # fmt: skip
    send = {"step_id": "send", "type": "send_email"}
    path = a_draft(api, steps=[send, {**CHECK, "condition": opened}, OUT])
    told(api.delete(f"{path}/steps/send"))
    assert readiness(api, path)["missing"] == ["flow_nodes.0.condition"]


def test_unknown_steps_are_not_found(api: httpx.Client, steps: str) -> None:
    answers = (
        api.patch(f"{steps}/nowhere", json={"step": {"label": "x"}}),
        api.delete(f"{steps}/nowhere"),
        api.put(f"{steps}/nowhere/email", json={"source": "inline"}),
    )
    for answer in answers:
        assert code(answer) == (404, "campaign_flow_step_not_found")


def test_step_ids_may_hold_what_addresses_do_not(api: httpx.Client, steps: str) -> None:
    told(api.post(steps, json={"step": {**NEW, "step_id": "a/b c?"}}), 201)
    flow = told(api.patch(f"{steps}/a%2Fb%20c%3F", json={"step": {"label": "x"}}))
    assert flow["steps"][-1] == {**NEW, "step_id": "a/b c?", "label": "x"}
    assert ids(told(api.delete(f"{steps}/a%2Fb%20c%3F"))) == ids({"steps": STEPS})


def test_an_existing_mail_is_given_to_a_step(api: httpx.Client, steps: str) -> None:
    """PUT …/steps/{stepId}/email with `source` `existing`."""
    email_id = new_email(api)
    flow = told(api.put(f"{steps}/send/email", json={"source": "existing", "email_id": email_id}))
    assert flow["steps"] == [{**SEND, "email_id": email_id}, WAIT_3_DAYS, CHECK, OUT]


def test_an_inline_mail_is_made_for_a_step(api: httpx.Client, steps: str) -> None:
    """PUT …/steps/{stepId}/email with `source` `inline`: a draft that needs approval."""
    path = steps.removesuffix("/steps")
    told(api.patch(path, json={"name": "Welcome series"}))
    fields = {"subject": "Hi", "preview_text": "p", "from_name": "Us",
              "from_address": "u@x.example", "reply_to_email": "r@x.example",
              "html": "<p>Mine</p>"}  # fmt: skip
    for given, name, html in (
        (fields, "Welcome series Email", "<p>Mine</p>"),
        ({"name": "Own", "subject": "Hi"}, "Own", None),
    ):
        flow = told(api.put(f"{steps}/send/email", json={"source": "inline", **given}))
        email_id = flow["steps"][0]["email_id"]
        mail = told(api.get(f"/v1/emails/{email_id}"))
        assert (mail["status"], mail["name"], mail["subject"]) == ("draft", name, "Hi")
        assert mail["html"] == html or "{{tented.unsubscribeOneClickLink}}" in mail["html"]
        assert readiness(api, path)["missing"] == ["flow_nodes.0.email_approval"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "source"),
        ({"source": "elsewhere"}, "source"),
        ({"source": "existing"}, "email_id"),
        ({"source": "existing", "email_id": "x"}, "email_id"),
        ({"source": "existing", "email_id": NOBODY, "html": "x"}, "html"),
        ({"source": "inline", "subject": ""}, "subject"),
        ({"source": "inline", "subject": "s" * 999}, "subject"),
        ({"source": "inline", "from_address": "nobody"}, "from_address"),
        ({"source": "inline", "html": "x", "template_id": NOBODY}, "template_id"),
        ({"source": "inline", "email_id": NOBODY}, "email_id"),
    ],
    ids=str,
)
def test_what_is_no_mail_for_a_step_is_refused_by_name(
    api: httpx.Client, steps: str, body: Json, where: str
) -> None:
    assert issue(api.put(f"{steps}/send/email", json=body)) == refused(where)


def test_only_send_email_steps_have_a_mail(api: httpx.Client, steps: str) -> None:
    answer = api.put(f"{steps}/out/email", json={"source": "inline"})
    assert code(answer) == (400, "campaign_flow_step_not_email")
    for body, expected in (
        ({"source": "existing", "email_id": NOBODY}, "email_not_found"),
        ({"source": "inline", "template_id": NOBODY}, "email_template_not_found"),
    ):
        assert code(api.put(f"{steps}/send/email", json=body)) == (404, expected)


def test_structure_is_not_edited_while_the_flow_is_active(api: httpx.Client) -> None:
    path = active(api)
    answers = (
        api.put(f"{path}/triggers", json={"triggers": []}),
        api.put(f"{path}/steps", json={"steps": []}),
        api.post(f"{path}/steps", json={"step": NEW}),
        api.patch(f"{path}/steps/w", json={"step": {"label": "x"}}),
        api.delete(f"{path}/steps/w"),
        api.put(f"{path}/steps/w/email", json={"source": "inline"}),
    )
    for answer in answers:
        assert code(answer) == (409, "campaign_not_editable")
