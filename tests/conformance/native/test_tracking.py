"""The links in mails, as recipients' programs follow them: no key, a signed token."""

import re
from typing import Any

import httpx
import pytest

from libs.local.outside import Outside
from tests.support.scenes import Scene
from tests.support.waiting import wait_until

Json = dict[str, Any]


@pytest.fixture
def received(outside: Outside) -> tuple[Scene, str, Json]:
    scene = Scene(outside, steps=[
        {"step_id": "send", "type": "send_email", "next_step_id": "w"},
        {"step_id": "w", "type": "wait", "duration_amount": 300, "duration_unit": "days"},
    ]).activate()  # fmt: skip
    contact_id = scene.enter(1)
    outside.flush()
    wait_until(lambda: scene.mails() != [], "the mail came", 60)
    return scene, contact_id, scene.mails()[0]


def link(mail: Json, kind: str) -> str:
    found = re.search(rf'"([^"]+/t/{kind}/[^"]+)"', mail["html"])
    assert found, mail["html"]
    return found[1]


def kinds(scene: Scene, contact_id: str) -> list[str]:
    return [one["type"] for one in scene.timeline_of(contact_id)]


def test_an_opening_is_seen_once(received: tuple[Scene, str, Json]) -> None:
    scene, contact_id, mail = received
    for address in (link(mail, "o"), link(mail, "o").removesuffix(".gif")):
        answer = httpx.get(address)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
        assert answer.content.startswith(b"GIF89a")
        assert "no-store" in answer.headers["Cache-Control"]
    wait_until(lambda: "email_opened" in kinds(scene, contact_id), "the opening shows", 30)
    assert kinds(scene, contact_id).count("email_opened") == 1


def test_unsubscribing_takes_a_click_on_the_button(
    received: tuple[Scene, str, Json], api: httpx.Client
) -> None:
    scene, contact_id, mail = received
    address = link(mail, "u")
    page = httpx.get(address)
    assert page.status_code == 200
    assert "<form" in page.text
    fields = api.get(f"/v1/contacts/{contact_id}").json()["fields"]
    assert "unsubscribed" not in fields

    answer = httpx.post(address, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    path = f"/v1/contacts/{contact_id}"
    wait_until(lambda: api.get(path).json()["fields"].get("unsubscribed"), "it is known", 30)
    wait_until(lambda: "email_unsubscribed" in kinds(scene, contact_id), "it shows", 30)


def test_tokens_cannot_be_changed(received: tuple[Scene, str, Json]) -> None:
    _, _, mail = received
    address = link(mail, "u")
    other_purpose = address.replace("/t/u/", "/t/c/")
    for wrong in (address[:-2], other_purpose):
        answer = httpx.get(wrong)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "link_not_valid")
