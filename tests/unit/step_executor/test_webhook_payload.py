"""What a webhook says."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.contact import Scalar
from libs.domain.steps.send_webhook import RESERVED_KEYS, SendWebhookStep
from services.step_executor.deliveries.webhook.payload import (
    MAX_ADDRESS_BYTES,
    CannotCall,
    Hook,
    address_with,
    payload,
)
from services.step_executor.store.deliveries import Circumstances, Claimed, DeliveryKey
from tests.support.builders import CONTACT, FLOW, WORKSPACE

PLANNED = datetime(2026, 7, 2, 9, 0, 0, 123456, tzinfo=UTC)
MEMBER = UUID(int=21)
CLAIMED = Claimed(
    key=DeliveryKey(MEMBER, 4), partition=0, workspace_id=WORKSPACE, contact_id=CONTACT,
    flow_id=FLOW, step_id="call", email_id=None, operational=False,
    dynamic_context={"tentURL": "https://t.example"}, planned_at=PLANNED, attempt=1, takeovers=0,
    ambiguous=0, rendered=None, channel="webhook", target="hooks.example:443",
)  # fmt: skip
NOW = Circumstances(
    wanted=True, contact=({"email": "ada@example.com", "firstName": "Ada"}, {"plan_tier": "pro"}),
    flow_status="active", email_version=None, lag_seconds=None, flow_version=1,
)  # fmt: skip


def a_hook(**custom_fields: Any) -> Hook:
    return Hook.of(
        SendWebhookStep(
            step_id="call",
            type="send_webhook",
            url="https://hooks.example/in",
            custom_fields=custom_fields,
        )
    )


def told(now: Circumstances = NOW, **custom_fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(payload(a_hook(**custom_fields), CLAIMED, now))
    return whole


def test_it_says_who_where_and_when() -> None:
    assert told() == {
        "event": "flow_step",
        "orgId": str(WORKSPACE),
        "campaignId": str(FLOW),
        "membershipId": str(MEMBER),
        "contactId": str(CONTACT),
        "nodeId": "call",
        "nodeType": "send_webhook",
        "timestamp": "2026-07-02T09:00:00.123Z",
        "contact": {
            "contactId": str(CONTACT),
            "email": "ada@example.com",
            "displayName": None,
            "firstName": "Ada",
            "customFields": {"plan_tier": "pro"},
        },
    }


def test_empty_fields_are_left_out_and_false_and_zero_are_not_empty() -> None:
    fields: dict[str, Scalar] = {
        "email": None, "city": "", "unsubscribed": False, "tentedScore": 0,
    }  # fmt: skip
    custom_fields: dict[str, Scalar] = {"a": None, "b": 0, "c": ""}
    now = replace(NOW, contact=(fields, custom_fields))
    contact = told(now)["contact"]
    assert contact == {
        "contactId": str(CONTACT), "email": None, "displayName": None, "unsubscribed": False,
        "tentedScore": 0, "customFields": {"b": 0},
    }  # fmt: skip


def test_custom_fields_are_rendered_and_join_at_the_top() -> None:
    whole = told(
        greeting="Hi {{contact.firstName}}, {{contact.city:default=you}}",
        tier="{{contact.plan_tier}}", link="{{campaign.dynamic.tentURL}}", count=3, flag=True,
        nothing=None,
    )  # fmt: skip
    assert whole["greeting"] == "Hi Ada, you"
    assert (whole["tier"], whole["link"]) == ("pro", "https://t.example")
    assert (whole["count"], whole["flag"], whole["nothing"]) == (3, True, None)


def test_values_are_not_read_as_tags_again() -> None:
    now = replace(NOW, contact=({"firstName": "{{contact.email}}"}, {}))
    assert told(now, name="{{contact.firstName}}")["name"] == "{{contact.email}}"


ENTRY = {"tent_id": "t1", "form_id": "registerForm", "fields": {"size": ["S", "M"], "age": 3}}


def test_a_run_that_a_form_began_tells_what_the_form_said() -> None:
    whole = told(replace(NOW, entry=ENTRY), formData="mine")
    assert whole["formData"] == {"size": ["S", "M"], "age": 3}
    assert (whole["tentId"], whole["formId"]) == ("t1", "registerForm")
    assert not {"formData", "tentId", "formId"} & told().keys()


def test_what_is_reserved_is_what_a_payload_says_itself() -> None:
    assert told(replace(NOW, entry=ENTRY)).keys() == RESERVED_KEYS


def test_what_is_ours_wins() -> None:
    whole = told(event="mine", contact="mine", orgId="mine", timestamp="mine", own="mine")
    assert whole == {**told(), "own": "mine"}


def test_a_payload_has_a_limit_before_it_is_written() -> None:
    now = replace(NOW, contact=({"firstName": 10_000 * "x"}, {}))
    with pytest.raises(CannotCall, match="payload_too_large"):
        told(now, bomb=1000 * "{{contact.firstName}}")
    with pytest.raises(CannotCall, match="payload_too_large"):
        told(replace(NOW, contact=({"firstName": 1_000_001 * "x"}, {})))


def test_as_query_objects_are_json_and_what_was_asked_already_is_kept() -> None:
    hook = a_hook(count=3, flag=True, nothing=None, text="ä b&c=d")
    address = address_with("/in?a=1&b=%20", payload(hook, CLAIMED, NOW))
    query = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
    assert address.startswith("/in?a=1&b=%20&")
    assert (query["a"], query["b"], query["event"]) == ("1", " ", "flow_step")
    assert (query["count"], query["flag"], query["nothing"]) == ("3", "true", "")
    assert query["text"] == "ä b&c=d"
    assert json.loads(query["contact"]) == told()["contact"]
    assert address_with("/in", b"{}") == "/in?"
    assert address_with("/in?", b'{"a":1}') == "/in?a=1"


def test_a_query_has_a_limit() -> None:
    just = MAX_ADDRESS_BYTES - len("/in?a=")
    assert address_with("/in", json.dumps({"a": just * "x"}).encode())
    with pytest.raises(CannotCall, match="query_too_large"):
        address_with("/in", json.dumps({"a": (just + 1) * "x"}).encode())


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.none(), max_size=5))
def test_any_contact_can_be_told_of_in_both_ways(custom: dict[str, Any]) -> None:
    written = payload(a_hook(), CLAIMED, replace(NOW, contact=({}, custom)))
    address = address_with("/in", written)
    assert address.isascii()
    assert address.isprintable()
    query = dict(parse_qsl(urlsplit(f"http://x{address}").query, keep_blank_values=True))
    assert json.loads(query["contact"]) == json.loads(written)["contact"]
