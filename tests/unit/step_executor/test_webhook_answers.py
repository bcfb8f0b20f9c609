"""What an answer means, and when to ask again."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.step_executor.deliveries.webhook.answers import (
    LONGEST_RETRY_SECONDS,
    RETRY_SECONDS,
    answer_of,
    retry_seconds,
    seconds_asked_for,
)
from tests.support.builders import NOW


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 202, 204, 299), "sent"),
        ((408, 425, 429, 500, 501, 502, 503, 504, 599), "retry"),
        ((101, 300, 301, 302, 307, 308, 400, 401, 403, 404, 410, 422, 600, 999), "failed"),
    ],
)
def test_what_a_status_means(statuses: tuple[int, ...], outcome: str) -> None:
    for status in statuses:
        answer = answer_of(status, "7", NOW)
        assert (answer.outcome, answer.reason) == (outcome, str(status))


def test_a_fault_with_one_request_says_nothing_of_others_and_being_busy_does() -> None:
    assert [answer_of(one, None, NOW).busy for one in (500, 408, 429, 502, 503, 504, 200)] == [
        False, False, True, True, True, True, False,
    ]  # fmt: skip


def test_it_is_tried_five_times_in_a_little_more_than_an_hour() -> None:
    waits = [retry_seconds(attempt, None) for attempt in range(1, 7)]
    assert waits == [*RETRY_SECONDS, None, None]
    assert 3600 < sum(RETRY_SECONDS) < 4000


def test_what_the_address_asks_for_is_obeyed_up_to_a_limit() -> None:
    assert retry_seconds(1, 120.0) == 120.0
    assert retry_seconds(1, 1.0) == 60.0, "or all attempts would be spent in seconds"
    assert retry_seconds(4, 120.0) == 2400.0
    assert retry_seconds(1, 1e9) == LONGEST_RETRY_SECONDS
    assert retry_seconds(5, 120.0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("-5", None),
        ("1e400", None),
        (12 * "9", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_an_instant(header: str | None, seconds: float | None) -> None:
    assert seconds_asked_for(header, NOW) == seconds


@given(st.text())
def test_any_header_is_read_or_ignored(header: str) -> None:
    asked = seconds_asked_for(header, NOW)
    assert asked is None or asked >= 0
