"""Every trigger and every step, once, on the running stack."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx

from libs.local.outside import Outside
from libs.local.stack import Stack
from tests.support.scenes import Json, Scene
from tests.support.waiting import wait_until

BEARER = "the-token-of-the-hook"
MAIL = "<html><body><p>Your page: {{campaign.dynamic.tentURL}}</p></body></html>"


@contextmanager
def listening() -> Iterator[tuple[str, list[Json]]]:
    """A web server; gives its address, and what it is told."""
    told: list[Json] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append({"headers": dict(self.headers), "body": json.loads(body)})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", told
    finally:
        server.shutdown()
        server.server_close()


def a_date_field(outside: Outside, name: str) -> str:
    body = {"name": name, "api_name": name, "type": "date"}
    return str(outside.call("POST", "/v1/custom-fields", body)["api_name"])


def a_template(outside: Outside, html: str) -> str:
    made = outside.call("POST", "/v1/templates", {"name": "Offer", "html": html})
    outside.call("POST", f"/v1/templates/{made['template_id']}/approve")
    return str(made["template_id"])


def a_page(outside: Outside, tag: str) -> Json:
    template_id = a_template(outside, "<h1>{{contact.firstName}} of {{contact.city}}</h1>")
    alias = f"{{{{contact.firstName}}}}-{tag}"
    return {"step_id": "page", "type": "create_tent", "source": "template",
            "template_id": template_id, "auto_publish": True, "custom_page_alias": alias,
            "next_step_id": "send"}  # fmt: skip


def sees_its_page(scene: Scene, address: str) -> bool:
    """Say whether the one mail names this address, and the page of Ada is there for everybody."""
    (mail,), page = scene.mails(), httpx.get(address)
    return f"Your page: {address}" in mail["html"] and page.text == "<h1>Ada of Rome</h1>"


def in_days(stack: Stack, days: float) -> str:
    instant = stack.clock.now().astimezone(UTC) + timedelta(days=days)
    return instant.isoformat()


def steps_of(url: str, on: str, off: str, field: str, page: Json) -> list[Json]:
    """Every step, each leading to the next."""
    in_rome = {"kind": "condition", "source": "contact_field", "field": "city", "operator": "eq",
               "value": "Rome"}  # fmt: skip
    on_list = {"kind": "condition", "source": "list_membership", "listId": on,
               "operator": "member_of"}  # fmt: skip
    return [
        {"step_id": "update", "type": "update_contact", "next_step_id": "check", "updates": [
            {"field": "city", "value": "Rome"},
            {"field": "jobTitle", "value": "Nobody", "write_mode": "skip_if_filled"}]},
        {"step_id": "check", "type": "condition_check", "condition": in_rome,
         "true_step_id": "add"},
        {"step_id": "add", "type": "add_to_list", "list_id": on, "next_step_id": "remove"},
        {"step_id": "remove", "type": "remove_from_list", "list_id": off, "next_step_id": "until"},
        {"step_id": "until", "type": "wait", "condition": on_list, "timeout_amount": 60,
         "timeout_unit": "days", "next_step_id": "page"},
        page,
        {"step_id": "send", "type": "send_email", "next_step_id": "hours"},
        {"step_id": "hours", "type": "wait", "duration_amount": 12, "duration_unit": "hours",
         "next_step_id": "call"},
        {"step_id": "call", "type": "send_webhook", "endpoint_url": url, "auth_type": "jwt",
         "token": BEARER, "custom_fields": {"hello": "{{contact.firstName}}"},
         "next_step_id": "date"},
        {"step_id": "date", "type": "wait", "until_date_field": field, "next_step_id": "out"},
        {"step_id": "out", "type": "drop_from_flow"},
    ]  # fmt: skip


def test_every_step_works(outside: Outside, stack: Stack) -> None:
    tag = uuid4().hex[:8]
    on, off = outside.create_list(f"on {tag}"), outside.create_list(f"off {tag}")
    renewal = a_date_field(outside, f"renewal_{tag}")
    strangers = {"kind": "condition", "source": "contact_field", "field": "company",
                 "operator": "neq", "value": tag}  # fmt: skip
    with listening() as (url, told):
        scene = Scene(
            outside,
            steps_of(url, on, off, renewal, a_page(outside, tag)),
            {"triggers": [{"type": "contact_created"}], "disqualification_rules": strangers},
            MAIL,
        ).activate()
        contact_id = outside.new_contact_id()
        fields = {"email": scene.address(1), "firstName": "Ada", "company": tag, "jobTitle": "Boss"}
        outside.publish("list.contact_added", contact_id, {"list_id": off})
        custom = {renewal: in_days(stack, 3)}
        outside.publish("contact.created", contact_id, {"fields": fields, "custom_fields": custom})
        scene.wait_for(total_entered=1, dropped_count=1)
    executed = [one for one in scene.timeline_of(contact_id) if one["type"] == "step_executed"]
    assert [one["step_id"] for one in executed] == [
        "update", "check", "add", "remove", "until", "page", "send", "hours", "call", "date",
    ]  # fmt: skip
    contact = outside.call("GET", f"/v1/contacts/{contact_id}")
    assert (contact["fields"]["city"], contact["fields"]["jobTitle"]) == ("Rome", "Boss")
    assert contact["list_ids"] == [on]
    assert scene.hand_overs() == {scene.address(1): 1}
    assert sees_its_page(scene, f"{stack.url}/pages/{stack.workspace_id}/ada-{tag}")
    (call,) = told
    assert call["headers"]["Authorization"] == f"Bearer {BEARER}"
    body = call["body"]
    assert (body["event"], body["nodeId"], body["hello"]) == ("flow_step", "call", "Ada")
    assert (body["contactId"], body["contact"]["city"]) == (contact_id, "Rome")


def test_every_trigger_works(outside: Outside, stack: Stack) -> None:
    tag = uuid4().hex[:8]
    birthday = a_date_field(outside, f"birthday_{tag}")
    left = outside.create_list(f"left {tag}")
    wait = {"step_id": "w", "type": "wait", "duration_amount": 1, "duration_unit": "minutes"}
    scene = Scene(outside, [wait])
    triggers: list[Json] = [
        {"type": "added_to_static_list", "list_id": scene.list_id},
        {"type": "removed_from_static_list", "list_id": left},
        {"type": "contact_updated", "field": "leadStatus", "operator": "eq", "value": f"hot {tag}"},
        {"type": "form_submitted", "form_id": f"form-{tag}"},
        {"type": "date_based", "field": birthday, "mode": "after_date", "days_after": 1,
         "trigger_time": "00:00"},
    ]  # fmt: skip
    path = f"/v1/email-flows/{scene.flow_id}"
    outside.call("PUT", f"{path}/triggers", {"triggers": triggers})
    scene.activate()
    ids = [scene.create_contact(number) for number in range(5)]
    outside.publish("list.contact_added", ids[0], {"list_id": scene.list_id})
    outside.publish("list.contact_added", ids[1], {"list_id": left})
    outside.publish("list.contact_removed", ids[1], {"list_id": left})
    outside.publish("contact.updated", ids[2], {"fields": {"leadStatus": f"hot {tag}"}})
    form = {"form_id": f"form-{tag}", "fields": {"size": "S"}}
    outside.publish("form.submitted", ids[3], form)
    tomorrow = in_days(stack, 2)[:10]
    outside.publish("contact.updated", ids[4], {"custom_fields": {birthday: tomorrow}})
    scene.wait_for(total_entered=5, completed_count=5)
    sources = {one["contact_id"]: one["entry_source"] for one in scene.members()}
    assert [sources[contact_id] for contact_id in ids] == [one["type"] for one in triggers]


def test_a_contact_is_told_of_a_flow_by_the_api_and_enters_on_its_event(outside: Outside) -> None:
    scene = Scene(outside, [{"step_id": "out", "type": "drop_from_flow"}]).activate()
    address = scene.address(1)
    outside.call("POST", "/v1/contacts", {"items": [{"email": address}]})

    def found() -> list[Json]:
        contacts: list[Json] = outside.call("GET", f"/v1/contacts?email={address}")["contacts"]
        return contacts

    wait_until(lambda: bool(found()), "the directory to know the contact")
    contact_id = found()[0]["contact_id"]
    outside.call("POST", f"/v1/lists/{scene.list_id}/contacts/{contact_id}")
    scene.wait_for(total_entered=1, dropped_count=1)
