"""A step that calls an address of the user's."""

from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from libs.contracts.flow_definitions import ADAPTER
from libs.domain.contact import CustomField, FieldType
from libs.domain.flow import Flow
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.step_result import DeliverWebhook
from libs.domain.steps.send_webhook import SendWebhookStep
from libs.domain.walk import WalkResult, walk
from libs.domain.walk_events import DeliveryFinished, Entered, WalkEvent
from tests.support.builders import NOW, a_flow, a_membership, snapshot

HOOK = {"step_id": "call", "type": "send_webhook", "url": "https://hooks.example/in"}
WAIT = {"step_id": "rest", "type": "wait", "duration_amount": 1, "duration_unit": "days"}
SENT = DeliveryFinished(outcome="sent", channel="webhook")
FAILED = DeliveryFinished(outcome="failed", channel="webhook", reason="404")


def calling(**changes: Any) -> Flow:
    return a_flow([{**HOOK, "edges": {"next": "rest"}, **changes}, WAIT])


def through(flow: Flow, *events: WalkEvent) -> WalkResult:
    result = WalkResult(a_membership())
    for event in events:
        result = walk(flow, result.membership, snapshot(), event, NOW)
    return result


def kinds(result: WalkResult) -> list[str]:
    return [entry.type for entry in result.timeline]


def test_it_stands_at_a_delivery_to_its_host() -> None:
    result = through(calling(), Entered())
    assert result.effects == (DeliverWebhook("call", "hooks.example:443"),)
    assert result.membership.waiting_on == "delivery"


def test_it_goes_on_once_it_was_taken_and_is_no_mail() -> None:
    result = through(calling(), Entered(), SENT)
    assert kinds(result) == ["webhook_sent", "step_executed", "waiting"]
    assert result.membership.engagement == {}
    assert result.membership.step_id == "rest"


def test_one_that_has_failed_for_good_is_told_and_goes_on() -> None:
    result = through(calling(), Entered(), FAILED)
    assert kinds(result) == ["step_failed", "step_executed", "waiting"]
    assert result.timeline[0].details == {"reason": "404"}
    assert result.membership.step_id == "rest"


def test_one_that_has_failed_drops_the_contact_where_its_author_says_so() -> None:
    result = through(calling(on_failure="drop"), Entered(), FAILED)
    assert kinds(result) == ["step_failed", "dropped"]
    assert result.membership.drop_reason == "step_failed"
    assert through(calling(on_failure="drop"), Entered(), SENT).membership.step_id == "rest"


def test_one_that_was_skipped_goes_on() -> None:
    skipped = DeliveryFinished(outcome="skipped", channel="webhook", reason="contact_not_found")
    result = through(calling(on_failure="drop"), Entered(), skipped)
    assert kinds(result) == ["webhook_skipped", "step_executed", "waiting"]


def test_where_none_can_go_is_left_to_the_sender_to_fail() -> None:
    assert through(calling(url="nowhere"), Entered()).effects == (
        DeliverWebhook("call", "nowhere"),
    )
    assert through(calling(url=None), Entered()).membership.step_id == "rest"


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, []),
        ({"url": None}, ["url"]),
        ({"auth": "jwt"}, ["token"]),
        ({"auth": "jwt", "token": "t", "secret_arn": "arn:x"}, ["token"]),
        ({"auth": "jwt", "token": "t"}, []),
        ({"auth": "jwt", "secret_arn": "arn:x"}, ["secret_arn"]),
        ({"auth": "none", "secret_arn": "arn:x"}, []),
    ],
)
def test_what_is_missing(changes: dict[str, Any], missing: list[str]) -> None:
    step = SendWebhookStep.model_validate({**HOOK, **changes})
    assert list(step.issues(Inventory())) == [Issue.at(name) for name in missing]


@pytest.mark.parametrize(
    ("value", "is_ready"),
    [
        ("{{contact.firstName}} {{contact.plan_tier:default=none}}", True),
        ("{{campaign.dynamic.anything}}", True),
        (3, True),
        ("{{contact.firstname}}", False),
    ],
)
def test_a_field_nobody_has_is_not_ready_in_what_is_sent(value: Any, is_ready: bool) -> None:
    plan = CustomField(api_name="plan_tier", type=FieldType.STRING)
    step = SendWebhookStep.model_validate({**HOOK, "custom_fields": {"a": 1, "b": value}})
    wrong = [] if is_ready else [Issue.at("custom_fields", "b", code="unknown_tags")]
    assert list(step.issues(Inventory(custom_fields={UUID(int=1): plan}))) == wrong


def test_a_secret_is_ready_where_secrets_can_be_looked_up() -> None:
    step = SendWebhookStep.model_validate({**HOOK, "auth": "jwt", "secret_arn": "arn:x"})
    assert list(step.issues(Inventory(secrets=True))) == []


def test_a_token_is_shown_neither_by_the_step_nor_by_what_is_wrong_with_it() -> None:
    step = SendWebhookStep.model_validate({**HOOK, "auth": "jwt", "token": "geheim"})
    assert "geheim" not in repr(step)
    with pytest.raises(ValidationError) as refused:
        SendWebhookStep.model_validate({**HOOK, "token": ["geheim"], "method": "geheim"})
    assert "geheim" not in str(refused.value)
    flow = a_flow([]).model_dump(mode="json")
    flow["steps"] = [{**HOOK, "token": ["geheim"], "method": "geheim"}, {"token": "geheim"}]
    told = {"type": "flow.defined", "id": str(UUID(int=1)), "time": NOW,
            "workspace_id": str(UUID(int=1)), "flow": flow}  # fmt: skip
    with pytest.raises(ValidationError) as refused:
        ADAPTER.validate_python(told)
    assert "geheim" not in str(refused.value)
