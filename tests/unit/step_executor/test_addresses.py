"""Addresses, from what people typed to what SMTP says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.step_executor.deliveries.email.addresses import mailbox
from services.step_executor.store.rendered_mail import CannotCompose
from tests.support.mails import a_mail, parsed, rendered


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("ada@example.com", "ada@example.com"),
        (" Ada+x@Example.COM ", "Ada+x@Example.COM"),
        ("info@münchen.de", "info@xn--mnchen-3ya.de"),
        ("info@MÜNCHEN.de", "info@xn--mnchen-3ya.de"),
        ("info@faß.de", "info@xn--fa-hia.de"),
        ("用户@例え.jp", "用户@xn--r8jz45g.jp"),
        ("jürgen@example.com", "jürgen@example.com"),
        ("ju\u0308rgen@example.com", "jürgen@example.com"),
        ('"a b"@example.com', '"a b"@example.com'),
        ('"a@b"@example.com', '"a@b"@example.com'),
        ('"a\\"b"@example.com', '"a\\"b"@example.com'),
        ("a..b.@docomo.ne.jp", '"a..b."@docomo.ne.jp'),
        ("a@localhost", "a@localhost"),
        ("a@[127.0.0.1]", "a@[127.0.0.1]"),
    ],
)
def test_addresses_are_brought_into_the_form_of_smtp(written: str, said: str) -> None:
    assert mailbox(written) == said


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "no @"),
        ("nobody", "no @"),
        ("@example.com", "nothing before the @"),
        ("a@", "domain"),
        ("a@b@c", "two @"),
        ("a b@c.example", "spaces"),
        ("a@b c.example", "domain"),
        ("a@b.example\r\nBcc: x@y.example", "control characters"),
        ("a\x00@b.example", "control characters"),
        ("a\u2028@b.example", "control characters"),
        ("Ada <a@b.example>", "spaces"),
        ("<a@b.example>", "has <"),
        ("a,b@c.example", "has ,"),
        ('"@c.example', 'has "'),
        ("a@-.example", "domain"),
        ("a@b..example", "domain"),
        ("a@" + "x" * 64 + ".example", "domain"),
        ("a@ü..example", "domain"),
        ("a@\u0600.example", "control characters"),
        ("a" * 320 + "@b.example", "over 320 characters"),
    ],
)
def test_what_cannot_be_an_address_is_refused_with_the_reason(written: str, reason: str) -> None:
    with pytest.raises(CannotCompose, match=r"^no_address: ") as refused:
        mailbox(written)
    assert reason in str(refused.value)
    with pytest.raises(CannotCompose):
        rendered(a_mail(), email=written)
    with pytest.raises(CannotCompose):
        rendered(a_mail(from_address=written))


def test_no_address_is_a_reason_as_well() -> None:
    for email in (None, 7, True):
        with pytest.raises(CannotCompose, match="no_address"):
            rendered(a_mail(), email=email)


def test_only_a_local_part_beyond_ascii_needs_smtputf8() -> None:
    domain = rendered(a_mail(from_address="hi@köln.example"), email="info@münchen.de")
    assert (domain.sender, domain.recipient) == ("hi@xn--kln-sna.example", "info@xn--mnchen-3ya.de")
    assert not domain.needs_smtputf8
    assert domain.message.isascii()
    assert str(parsed(domain)["Message-ID"]).endswith(".1@xn--kln-sna.example>")
    local = rendered(a_mail(), email="jürgen@münchen.de")
    assert local.needs_smtputf8
    assert str(parsed(local)["To"]) == "jürgen@xn--mnchen-3ya.de"


@given(st.text(st.characters(), max_size=400))
def test_what_passes_is_one_word_to_a_server(written: str) -> None:
    try:
        said = mailbox(written)
    except CannotCompose:
        return
    assert said.isprintable()
    assert said.encode("utf-8")
    assert " " not in said or said.startswith('"')
