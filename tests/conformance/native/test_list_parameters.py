"""`GET /v1/email-flows`: its parameters one by one, and what an answer holds."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.native import (
    FLOW_KEYS,
    FLOWS,
    WAIT,
    Json,
    create,
    enter,
    issue,
    new_contact,
    path_of,
    refused,
    told,
)
from tests.support.waiting import wait_until

STATUSES = ("draft", "active", "paused", "archived")


@pytest.fixture(scope="module")
def tag() -> str:
    """What only the flows of this file have in their names or descriptions."""
    return f"%_{uuid4().hex}"


@pytest.fixture
def flows(api: httpx.Client, tag: str) -> dict[str, str]:
    """A flow in every status, created in this order: the id of each."""
    if not names(api, search=tag, status="any", archived="false"):
        made = {status: create(api, name=f"{tag} {status}", steps=[WAIT]) for status in STATUSES}
        for status, verbs in {"active": ["activate"], "paused": ["activate", "pause"],
                              "archived": ["archive"]}.items():  # fmt: skip
            for verb in verbs:
                told(api.post(f"{path_of(made[status])}/{verb}"))
    listed = [
        *told(api.get(FLOWS, params={"search": tag}))["flows"],
        *told(api.get(FLOWS, params={"search": tag, "archived": "true"}))["flows"],
    ]
    return {flow["status"]: flow["flow_id"] for flow in listed}


def names(api: httpx.Client, **asked: Any) -> list[str]:
    """Give the last word of each name that is listed."""
    listed = told(api.get(FLOWS, params=asked))["flows"]
    return [flow["name"].rsplit(" ", 1)[1] for flow in listed]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"draft", "active", "paused"}),
        ({"status": "any"}, {"draft", "active", "paused"}),
        *(({"status": status}, {status}) for status in STATUSES),
        ({"archived": "true"}, {"archived"}),
        ({"archived": "false"}, {"draft", "active", "paused"}),
        ({"status": "any", "archived": "true"}, {"archived"}),
        ({"status": "active", "archived": "false"}, {"active"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_status_and_archived(
    api: httpx.Client, tag: str, flows: dict[str, str], asked: Json, expected: set[str]
) -> None:
    """`status` is `any` unless given; archived flows are hidden unless they are asked for."""
    assert set(flows) == set(STATUSES)
    assert set(names(api, search=tag, **asked)) == expected


def test_sort_by_and_sort_order(api: httpx.Client, tag: str, flows: dict[str, str]) -> None:
    """`sort_by` is `updated_at` unless given, `sort_order` `desc`."""
    told(api.patch(f"{FLOWS}/{flows['active']}", json={"description": "touched"}))
    assert names(api, search=tag)[0] == "active"
    for sort_by, rising in (
        ("name", ["active", "draft", "paused"]),
        ("created_at", ["draft", "active", "paused"]),
        ("updated_at", ["draft", "paused", "active"]),
    ):
        asked = {"search": tag, "sort_by": sort_by}
        assert names(api, **asked, sort_order="asc") == rising
        assert names(api, **asked, sort_order="desc") == names(api, **asked) == rising[::-1]


def test_page_and_limit(api: httpx.Client, tag: str, flows: dict[str, str]) -> None:
    """`page` is 1 unless given, `limit` 25, at most 100."""
    assert flows
    asked: Json = {"search": tag, "sort_by": "name", "sort_order": "asc"}
    whole = told(api.get(FLOWS, params=asked))
    assert list(whole) == ["flows", "pagination"]
    assert whole["pagination"] == {"page": 1, "limit": 25, "total": 3, "total_pages": 1}
    for page, expected in ((1, ["active", "draft"]), (2, ["paused"]), (3, [])):
        answer = told(api.get(FLOWS, params={**asked, "limit": 2, "page": page}))
        assert [flow["name"].rsplit(" ", 1)[1] for flow in answer["flows"]] == expected
        assert answer["pagination"] == {"page": page, "limit": 2, "total": 3, "total_pages": 2}
    assert told(api.get(FLOWS, params={"limit": 100}))["pagination"]["limit"] == 100


def test_search(api: httpx.Client, tag: str, flows: dict[str, str]) -> None:
    """`search` is any part of the name or the description, in any case, as it is written."""
    assert names(api, search=f"{tag.upper()} DRAFT") == ["draft"]
    assert names(api, search=f"{tag} nothing") == []
    assert names(api, search=tag.replace("%", "x")) == []
    told(api.patch(f"{FLOWS}/{flows['draft']}", json={"description": f"About Müller {tag}"}))
    assert names(api, search=f"about müller {tag}") == ["draft"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "deleted"), ("status", ""), ("archived", "maybe"), ("sort_by", "status"),
        ("sort_order", "up"), ("page", 0), ("page", "x"), ("page", 1.5), ("limit", 0),
        ("limit", 101), ("limit", "x"), ("search", "x" * 201),
    ],
)  # fmt: skip
def test_what_a_parameter_does_not_take_is_refused_by_name(
    api: httpx.Client, name: str, value: Any
) -> None:
    answer = api.get(FLOWS, params={name: value})
    assert issue(answer) == refused(name)


def test_each_flow_carries_its_counts(api: httpx.Client) -> None:
    """`details`: runs that entered, are active, wait, completed, were dropped; the last entry."""
    path = path_of(create(api, name=f"counts {uuid4().hex}", steps=[WAIT]))
    told(api.post(f"{path}/activate"))
    first, second = new_contact(api), new_contact(api)
    enter(api, path, first)
    last = enter(api, path, second)
    told(api.delete(f"{path}/contacts/{first}"))
    expected = {"total_entered": 2, "active_count": 0, "waiting_count": 1, "completed_count": 0,
                "dropped_count": 1, "most_recent_entry_at": last["entered_at"]}  # fmt: skip
    wait_until(lambda: told(api.get(path))["details"] == expected, "the counts are these", 30)
    name = told(api.get(path))["name"]
    (listed,) = told(api.get(FLOWS, params={"search": name}))["flows"]
    assert list(listed) == FLOW_KEYS
    assert listed == told(api.get(path))
