"""May this delivery be made now?"""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.step_executor.deliveries.judgement import Judgement, Later, Over, Send, judge
from services.step_executor.deliveries.make_delivery import retry_seconds
from services.step_executor.store.deliveries import Circumstances, Claimed, DeliveryKey
from tests.support.builders import CONTACT, FLOW, NOW, WELCOME, WORKSPACE

CLAIMED = Claimed(
    key=DeliveryKey(UUID(int=21), 1), partition=0, workspace_id=WORKSPACE, contact_id=CONTACT,
    flow_id=FLOW, step_id="send", email_id=WELCOME, operational=False, dynamic_context={},
    planned_at=NOW, attempt=1, takeovers=0, ambiguous=0, rendered=None,
)  # fmt: skip
ALL_WELL = Circumstances(
    wanted=True, contact=({"email": "ada@example.com"}, {}), flow_status="active",
    email_version=1, lag_seconds=0.0,
)  # fmt: skip


def verdict(operational: bool = False, **changes: Any) -> Judgement:
    claimed = replace(CLAIMED, operational=operational)
    return judge(claimed, replace(ALL_WELL, **changes), max_lag_seconds=300.0)


def contact(**fields: Any) -> Any:
    return {"email": "ada@example.com", **fields}, {}


def test_all_is_well() -> None:
    assert verdict() == Send()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"wanted": False}, "membership_moved_on"),
        ({"flow_status": "archived"}, "flow_archived"),
        ({"flow_status": "deleted"}, "flow_deleted"),
        ({"contact": None}, "contact_not_found"),
        ({"contact": ({}, {})}, "no_address"),
        ({"contact": contact(unsubscribed=True)}, "unsubscribed"),
        ({"contact": contact(marketingEmailSubscribed=False)}, "unsubscribed"),
        ({"contact": contact(marketingEmailInvalid=True)}, "address_invalid"),
    ],
)
def test_what_nobody_wants_is_skipped_whatever_else_is_the_case(
    changes: dict[str, Any], reason: str
) -> None:
    assert verdict(**changes) == Over("skipped", reason)
    assert verdict(lag_seconds=None, email_version=None, **changes) == Over("skipped", reason)


@pytest.mark.parametrize("status", ["paused", "draft", None])
def test_a_flow_that_is_not_active_is_waited_for(status: str | None) -> None:
    assert verdict(flow_status=status) == Later(30.0, "flow_paused")


def test_a_mail_that_is_not_known_is_waited_for_and_then_missed() -> None:
    assert verdict(email_version=None, waited_seconds=600) == Later(2.0, "email_not_arrived")
    assert verdict(email_version=None, waited_seconds=601) == Over("failed", "email_not_found")


def test_r9_marketing_mail_waits_for_its_partition_and_other_mail_does_not() -> None:
    for lag in (300.1, None):
        assert verdict(lag_seconds=lag) == Later(10.0, "partition_lags")
        assert verdict(operational=True, lag_seconds=lag) == Send()
    assert verdict(lag_seconds=300.0) == Send()


def test_operational_mail_goes_to_who_has_unsubscribed() -> None:
    assert verdict(operational=True, contact=contact(unsubscribed=True)) == Send()
    invalid = contact(marketingEmailInvalid=True)
    assert verdict(operational=True, contact=invalid) == Over("skipped", "address_invalid")


def test_each_retry_is_later_up_to_a_limit() -> None:
    waits = [retry_seconds(attempt) for attempt in range(1, 400)]
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits == sorted(waits)
    assert waits[-1] == 900.0
