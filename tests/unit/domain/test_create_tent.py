"""A step that has a web page made for the contact."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from libs.domain.contact import ContactSnapshot
from libs.domain.flow import Flow, FlowStatus
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.membership import MAX_CONTEXT_VALUES, MembershipStatus, with_page_url
from libs.domain.page_alias import fault_of_alias, rendered_alias
from libs.domain.step_result import RequestPage
from libs.domain.steps.create_tent import (
    ANSWER_WITHIN,
    MAX_RENDERED_PROMPT,
    MAX_SHOWN_CHARACTERS,
    CreateTentStep,
    shown_of,
)
from libs.domain.strictness import read_strictly
from libs.domain.walk import WalkResult, walk
from libs.domain.walk_events import (
    NO_ANSWER,
    TIMER_FIRED,
    DeliveryFinished,
    Entered,
    PageFinished,
    WalkEvent,
)
from tests.support.builders import CONTACT, NOW, WELCOME, a_flow, a_membership, snapshot

URL = "http://api/pages/w/ada"
TENT = {"step_id": "page", "type": "create_tent", "source": "template", "template_id": "tpl_1",
        "auto_publish": True, "alias": "{{contact.firstName}}-offer",
        "prompt": "For {{contact.company}}",
        "name": "Page of {{ contact.firstName:default=a friend }}"}  # fmt: skip
REST = {"step_id": "rest", "type": "wait", "duration_amount": 1, "duration_unit": "days"}
PUBLISHED = PageFinished(outcome="published", page_id="p", url=URL)
FAILED = PageFinished(outcome="failed", reason="404")


def making(**changes: Any) -> Flow:
    return a_flow([{**TENT, "edges": {"next": "rest"}, **changes}, REST])


def through(flow: Flow, *events: WalkEvent, **context: Any) -> WalkResult:
    result = WalkResult(a_membership(dynamic_context=context))
    known = snapshot(firstName="Ada", company="X & Co", city="")
    for event in events:
        result = walk(flow, result.membership, known, event, NOW)
    return result


def kinds(result: WalkResult) -> list[str]:
    return [entry.type for entry in result.timeline]


def test_it_asks_for_a_page_and_waits_for_the_answer_and_not_for_ever() -> None:
    result = through(making(), Entered(), plan="pro")
    (asked,) = result.effects
    assert asked == RequestPage(
        step_id="page", template_id="tpl_1", prompt="For X & Co", name="Page of Ada",
        alias="ada-offer", publish=True, run={"plan": "pro"},
        contact={"email": "ada@example.com", "firstName": "Ada", "company": "X & Co"},
    )  # fmt: skip
    member = result.membership
    assert (member.status, member.waiting_on) == (MembershipStatus.ACTIVE, "answer")
    assert member.waiting_until == NOW + ANSWER_WITHIN
    assert kinds(result) == ["entered_flow", "page_requested"]


def test_a_page_of_a_prompt_names_no_template() -> None:
    (asked,) = through(making(source="scratch"), Entered()).effects
    assert isinstance(asked, RequestPage)
    assert asked.template_id is None


def test_where_the_page_is_becomes_a_value_of_the_run() -> None:
    result = through(making(), Entered(), PUBLISHED, plan="pro")
    assert result.membership.dynamic_context == {"plan": "pro", "tentURL": URL}
    assert kinds(result) == ["page_made", "step_executed", "waiting"]
    assert result.timeline[0].details == {"page_id": "p", "url": URL, "warnings": []}
    assert result.membership.step_id == "rest"


def test_the_second_page_of_a_run_has_a_name_of_its_own() -> None:
    second = {**TENT, "step_id": "page2", "edges": {"next": "rest"}}
    flow = a_flow([{**TENT, "edges": {"next": "page2"}}, second, REST])
    other = PageFinished(outcome="published", page_id="q", url="u2")
    result = through(flow, Entered(), PUBLISHED, other)
    assert result.membership.dynamic_context == {"tentURL": URL, "tentURL2": "u2"}
    assert result.membership.step_id == "rest"


def test_a_page_that_nobody_can_see_leaves_no_address() -> None:
    result = through(making(), Entered(), PageFinished(outcome="made", page_id="p"))
    assert result.membership.dynamic_context == {}
    assert kinds(result) == ["page_made", "step_executed", "waiting"]


@pytest.mark.parametrize(("answer", "reason"), [(FAILED, "404"), (NO_ANSWER, "no_answer")])
def test_a_page_that_fails_or_is_not_heard_of_is_told_and_the_contact_goes_on(
    answer: PageFinished, reason: str
) -> None:
    result = through(making(), Entered(), answer)
    assert kinds(result) == ["step_failed", "step_executed", "waiting"]
    assert result.timeline[0].details == {"reason": reason}
    assert (result.membership.step_id, result.membership.dynamic_context) == ("rest", {})


def test_a_run_does_not_gather_addresses_for_ever() -> None:
    context: Any = {}
    for _ in range(MAX_CONTEXT_VALUES + 5):
        context = with_page_url(context, URL)
    assert len(context) == MAX_CONTEXT_VALUES


def test_in_a_pause_the_answer_waits_until_the_flow_goes_on() -> None:
    standing = through(making(), Entered()).membership
    paused = making().model_copy(update={"status": FlowStatus.PAUSED})
    parked = walk(paused, standing, snapshot(), PUBLISHED, NOW).membership
    assert (parked.waiting_on, parked.parked) == ("reactivation", PUBLISHED)
    assert parked.parked is not None
    result = walk(making(), parked, snapshot(), parked.parked, NOW)
    assert result.membership.dynamic_context == {"tentURL": URL}


def test_a_step_that_an_edit_put_in_its_place_begins_when_the_page_is_there() -> None:
    standing = through(making(), Entered()).membership
    mail = {"step_id": "page", "type": "send_email", "email_id": str(WELCOME)}
    result = walk(a_flow([mail]), standing, snapshot(), PUBLISHED, NOW)
    assert result.membership.waiting_on == "delivery"
    assert result.membership.dynamic_context == {"tentURL": URL}


def test_it_begins_in_the_place_of_a_mail_or_a_wait() -> None:
    mail = {"step_id": "page", "type": "send_email", "email_id": str(WELCOME)}
    for before, event in (
        (mail, DeliveryFinished(outcome="sent")),
        ({**REST, "step_id": "page"}, TIMER_FIRED),
    ):
        standing = walk(a_flow([before]), a_membership(), snapshot(), Entered(), NOW).membership
        result = walk(making(), standing, snapshot(), event, NOW)
        assert result.membership.waiting_on == "answer"
        assert [type(effect) for effect in result.effects] == [RequestPage]


def test_what_it_is_made_of_is_needed() -> None:
    ready = Inventory(templates={"tpl_1": "approved"}, page_generator=True)

    def issues(inventory: Inventory = ready, **changes: Any) -> list[Issue]:
        return list(CreateTentStep.model_validate({**TENT, **changes}).issues(inventory))

    assert issues() == []
    assert issues(template_id=None) == [Issue.at("template_id")]
    assert issues(template_id="tpl_2") == [Issue.at("template_id", code="unknown")]
    draft = replace(ready, templates={"tpl_1": "draft"})
    assert issues(draft) == [Issue.at("template_id", code="not_approved")]
    assert issues(source="scratch") == []
    assert issues(source="scratch", prompt=None) == [Issue.at("prompt")]
    wrong = "{{contact.firstname}}"
    assert issues(prompt=wrong, alias=wrong, name=wrong) == [
        Issue.at(place, code="unknown_tags") for place in ("prompt", "alias", "name")
    ]
    without = replace(ready, page_generator=False)
    assert issues(without, source="scratch") == [Issue.at("prompt", code="not_configured")]


def test_one_that_lost_its_template_is_passed_over() -> None:
    result = through(making(template_id=None), Entered())
    assert (result.membership.step_id, result.effects) == ("rest", ())


ALIASES = {
    "offer": True, "0ffer.2026_a-b": True, "/": True, "a" * 100: True,
    "": False, "Offer": False, "-offer": False, "a b": False, "a/b": False, "a" * 101: False,
    "api": False, "admin": False, "submit": False, "assets": False, "apis": True,
    "11111111-1111-4111-8111-111111111111": False, "ä": False,
}  # fmt: skip


@pytest.mark.parametrize(("alias", "good"), ALIASES.items())
def test_the_grammar_of_an_alias(alias: str, good: bool) -> None:
    assert (fault_of_alias(alias) is None) is good


def test_an_alias_without_tags_is_judged_when_it_is_written() -> None:
    def written(**changes: Any) -> CreateTentStep:
        return read_strictly(CreateTentStep, {**TENT, **changes})

    assert written(alias="{{contact.firstName}} !").alias
    with pytest.raises(ValidationError, match="small letters"):
        written(alias="No Alias")
    with pytest.raises(ValidationError, match="published"):
        written(auto_publish=False)
    assert CreateTentStep.model_validate({**TENT, "alias": "No Alias"}).alias


def test_values_are_written_as_an_alias_may_hold_them() -> None:
    values = {"contact": {"firstName": " Zoë  O'Hara ", "path": "../../x", "empty": ""}}
    assert rendered_alias("hi-{{contact.firstName}}", values) == "hi-zoe-o-hara"
    assert rendered_alias("{{contact.empty}}-x", values) == "-x"
    assert rendered_alias("a{{contact.path}}", values) == "a..-..-x"
    assert len(rendered_alias("{{contact.firstName}}" * 100, values)) == 101


def test_what_is_asked_for_has_a_limit_whatever_the_contact_holds() -> None:
    fields = {f"field{number}": "x" * 5000 for number in range(200)}
    shown = shown_of(ContactSnapshot(CONTACT, fields))
    assert sum(len(str(value)) for value in shown.values()) <= MAX_SHOWN_CHARACTERS
    flow = making(prompt="{{contact.field1}}" * 500)
    (asked,) = walk(flow, a_membership(), snapshot(**fields), Entered(), NOW).effects
    assert isinstance(asked, RequestPage)
    assert len(asked.prompt or "") == MAX_RENDERED_PROMPT
