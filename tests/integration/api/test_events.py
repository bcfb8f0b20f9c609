"""`/v1/events` on a database alone."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.integration.api.conftest import ROOM, Mirror
from tests.integration.api.directory_calls import Json, code, fields_of, told
from tests.support.builders import WORKSPACE

ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"


def event(kind: str = "activity.recorded", data: Json | None = None, **changes: Any) -> Json:
    return {
        "specversion": "1.0", "id": str(uuid4()), "source": "/shop", "type": kind,
        "subject": str(uuid4()), "time": "2026-07-02T09:00:00Z", "workspaceid": str(WORKSPACE),
        "data": {"metric": "Placed Order"} if data is None else data, **changes,
    }  # fmt: skip


def post(api: httpx.AsyncClient, sent: Any, kind: str = "application/json") -> Any:
    return api.post("/v1/events", content=json.dumps(sent), headers={"Content-Type": kind})


@pytest.mark.parametrize("kind", [ONE, f"{ONE}; charset=utf-8", "application/json"])
async def test_one_event_is_published_as_it_was_sent(
    api: httpx.AsyncClient, mirror: Mirror, kind: str
) -> None:
    fields = {"email": "ada@x.example", "city": None}
    sent = event("contact.created", {"fields": fields, "tier": 1}, dataschema="https://x.example")
    assert await told(post(api, sent, kind), 202) == {"accepted": 1}
    (said,) = mirror.said
    assert json.loads(said.body()) == sent
    assert said.key == sent["subject"]
    assert (await fields_of(api, sent["subject"]))["email"] == "ada@x.example"


@pytest.mark.parametrize("kind", [BATCH, "application/json"])
async def test_many_events_are_published_at_once(
    api: httpx.AsyncClient, mirror: Mirror, kind: str
) -> None:
    sent = [event() for _ in range(500)]
    assert await told(post(api, sent, kind), 202) == {"accepted": 500}
    assert mirror.calls == 1
    assert [json.loads(one.body())["id"] for one in mirror.said] == [one["id"] for one in sent]


async def test_a_subject_in_any_writing_is_the_same_key(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    subject = uuid4()
    await told(post(api, [event(subject=str(subject).upper()), event(subject=subject.hex)]), 202)
    assert {one.key for one in mirror.said} == {str(subject)}


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (event("telepathy"), "type"),
        (event(specversion="0.3"), "specversion"),
        (event(subject="ada"), "subject"),
        (event(workspaceid=str(UUID(int=99))), "workspaceid"),
        ({name: value for name, value in event().items() if name != "workspaceid"}, "workspaceid"),
        (event(time="2026-07-02T09:00:00"), "time"),
        (event(id=""), "id"),
        (event(data={}), "data.metric"),
        (event("list.contact_added", {"list_id": 1}), "data.list_id"),
    ],
)
async def test_a_bad_event_is_named_and_nothing_is_published(
    api: httpx.AsyncClient, mirror: Mirror, bad: Json, path: str
) -> None:
    answer = await post(api, [event(), bad, event()])
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")
    found = answer.json()["details"]["issues"][0]["path"]
    assert found == f"1.{path}"
    alone = (await post(api, bad, ONE)).json()["details"]["issues"][0]["path"]
    assert alone == path
    assert mirror.said == []


async def test_every_bad_event_is_named(api: httpx.AsyncClient) -> None:
    answer = await post(api, [event(id=""), event(), 7, event("telepathy")])
    paths = [one["path"] for one in answer.json()["details"]["issues"]]
    assert paths == ["0.id", "2", "3.type"]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ([], BATCH), ([event()] * 501, BATCH), (event(), BATCH), ([event()], ONE),
        (event(), "text/plain"), (7, "application/json"),
    ],
)  # fmt: skip
async def test_what_is_no_event_and_no_batch_is_refused(
    api: httpx.AsyncClient, mirror: Mirror, sent: Any, kind: str
) -> None:
    assert await code(post(api, sent, kind)) == (400, "invalid_request")
    assert mirror.said == []


async def test_what_is_no_json_is_refused(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": ONE}
    for content in (b"{", b"[" * 100_000, b"\xff", rb'{"id": "\ud800"}', b'{"id": NaN}'):
        asked = api.post("/v1/events", content=content, headers=headers)
        assert await code(asked) == (400, "invalid_request")


async def test_an_event_too_large_for_its_topic_is_refused_before_it_is_sent(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    large = event(data={"metric": "x", "properties": {"text": ""}})
    size = len(json.dumps(large, separators=(",", ":"))) + len(large["subject"])
    large["data"]["properties"]["text"] = "x" * (ROOM - size)
    assert await told(post(api, [event(), large]), 202) == {"accepted": 2}
    large["data"]["properties"]["text"] += "x"
    answer = await post(api, [event(), large])
    assert (answer.status_code, answer.json()["error_code"]) == (413, "event_too_large")
    assert answer.json()["details"] == {"index": 1, "most_bytes": ROOM}
    assert len(mirror.said) == 2


async def test_while_kafka_is_away_nothing_is_accepted(
    api: httpx.AsyncClient, mirror: Mirror
) -> None:
    mirror.fails = True
    assert await code(post(api, event())) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("levels", [100, 101, 200, 900, 100_000])
async def test_an_event_that_readers_could_not_read_is_refused(
    api: httpx.AsyncClient, mirror: Mirror, levels: int
) -> None:
    written = json.dumps(event(data={"metric": "x", "properties": "here"}))
    deep = '{"a": ' + "[" * (levels - 3) + "]" * (levels - 3) + "}"
    content = written.replace('"here"', deep)
    headers = {"Content-Type": ONE}
    answer = await api.post("/v1/events", content=content, headers=headers)
    assert answer.status_code == (202 if levels == 100 else 400)
    assert len(mirror.said) == (levels == 100)
