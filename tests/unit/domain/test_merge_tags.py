"""Merge tags."""

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.merge_tags import Values, render, tags_in

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


@given(st.text())
def test_values_add_no_markup_and_are_never_templates(value: str) -> None:
    values = {"contact": {"firstName": value}, "sender": {"company": "secret"}}
    shown = render("<p>{{contact.firstName}}</p>", values, escape=True)
    inside = shown.removeprefix("<p>").removesuffix("</p>")
    assert not {"<", ">", '"'} & set(inside)
    assert "secret" not in inside or "secret" in value
