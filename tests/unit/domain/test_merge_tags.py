"""Merge tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.merge_tags import MergeTag, Template, Values, compile_template, render, tags_in

VALUES: Values = {
    "contact": {"firstName": "Ada", "plan_tier": "", "score": 7, "vip": True},
    "campaign.dynamic": {"couponCode": "SAVE20"},
    "sender": {"company": "Acme & Sons"},
}


def test_tags_become_values() -> None:
    template = "Hi {{contact.firstName}}, {{ campaign.dynamic.couponCode }} {{tented.company}}"
    assert render(template, VALUES, escape=False) == "Hi Ada, SAVE20 Acme & Sons"
    assert render("{{sender.company}}", VALUES, escape=True) == "Acme &amp; Sons"
    assert render("{{contact.score}} {{contact.vip}}", VALUES, escape=False) == "7 true"


def test_defaults_stand_in_for_missing_and_empty_values() -> None:
    assert render("{{contact.nick:default=there}}", VALUES, escape=False) == "there"
    assert render("{{contact.plan_tier:default=free}}", VALUES, escape=False) == "free"
    assert render("{{contact.nick}}", VALUES, escape=False) == ""
    assert render("{{contact.nick:default=<b>}}", VALUES, escape=True) == "&lt;b&gt;"


def test_what_is_no_tag_stays() -> None:
    for text in ("{{ }}", "{{weather.today}}", "{contact.firstName}", "{{contact.first name}}"):
        assert render(text, VALUES, escape=False) == text


def test_tags_are_listed() -> None:
    template = "{{contact.a}} {{tented.unsubscribeOneClickLink}}"
    assert list(tags_in(template)) == [("contact", "a"), ("sender", "unsubscribeOneClickLink")]


def test_a_template_is_read_once_and_rendered_often() -> None:
    template = compile_template("Hi {{contact.firstName:default= you }}, {{tented.company}}")
    tags = (MergeTag("contact", "firstName", "you"), MergeTag("sender", "company"))
    assert template == Template(("Hi ", ", ", ""), tags)
    assert template.render(VALUES, escape=True) == "Hi Ada, Acme &amp; Sons"
    assert template.render({}, escape=False) == "Hi you, "
    assert template.fill(["1", "2"]) == "Hi 1, 2"
    assert compile_template("") == Template(("",))


def test_a_default_ends_at_the_first_closing_braces() -> None:
    for text, shown in (
        ("{{contact.no:default=a}b}}", "a}b"),
        ("{{contact.no:default=a}}}", "a}"),
        ("{{contact.no:default={{contact.score}}", "{{contact.score"),
        ("{{contact.no:default=a} {{contact.score", "{{contact.no:default=a} {{contact.score"),
        ("{{contact.no:default=}}", ""),
    ):
        assert render(text, VALUES, escape=False) == shown


@pytest.mark.parametrize(
    "flood",
    ["{{", "{{contact.a:default=", "{{contact.a ", "{{ ", "{{contact.a:default=}", "\n{{ \t"],
)
def test_a_flood_takes_linear_time(flood: str) -> None:
    text = flood * (2_000_000 // len(flood))
    assert render(text, VALUES, escape=False) == text
    assert len(list(tags_in(text + "}}"))) <= 1


@given(st.text("{} contact.a:default=x", max_size=200))
def test_nothing_is_lost_between_tags(text: str) -> None:
    template = compile_template(text)
    assert len(template.literals) == len(template.tags) + 1
    rest = text
    for literal in template.literals:
        assert literal in rest
        rest = rest.partition(literal)[2] if literal else rest


@given(st.text())
def test_values_add_no_markup_and_are_never_templates(value: str) -> None:
    values = {"contact": {"firstName": value}, "sender": {"company": "secret"}}
    shown = render("<p>{{contact.firstName}}</p>", values, escape=True)
    inside = shown.removeprefix("<p>").removesuffix("</p>")
    assert not {"<", ">", '"'} & set(inside)
    assert "secret" not in inside or "secret" in value
