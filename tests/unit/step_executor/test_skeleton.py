"""Mails as they are written."""

import re
from typing import Any
from uuid import UUID

import pytest

from libs.contracts import tracking
from services.step_executor.store.rendered_mail import CannotCompose
from tests.support.builders import CONTACT
from tests.support.mails import KEY, a_mail, a_request, parsed, part, rendered

LONGEST_STEP_ID = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(120))
_TRACKED = re.compile(r"/t/c/([\w.-]+)")


def html_of(html: str, **fields: Any) -> str:
    return part(parsed(rendered(a_mail(html=html), **fields)), "html")


def text_of(html: str, **fields: Any) -> str:
    text = part(parsed(rendered(a_mail(html=html), **fields)), "plain")
    return text.partition("\nUnsubscribe: ")[0].strip()


def led_to(html: str) -> list[str | None]:
    return [tracking.read(token, "c", KEY).url for token in _TRACKED.findall(html)]


def test_the_same_in_gives_the_same_out_and_the_message_id_is_the_key() -> None:
    once, again = rendered(a_mail()), rendered(a_mail())
    assert once == again
    assert (once.sender, once.recipient) == ("hi@acme.example", "ada@example.com")
    assert parsed(once)["Message-ID"] == f"<{UUID(int=21)}.1@acme.example>"
    other = rendered(a_mail(), a_request(hop=2))
    assert parsed(other)["Message-ID"] == f"<{UUID(int=21)}.2@acme.example>"


def test_the_headers() -> None:
    message = parsed(rendered(a_mail(reply_to_email="help@acme.example"), firstName="Ada"))
    assert str(message["From"]) == "Acme <hi@acme.example>"
    assert str(message["To"]) == "ada@example.com"
    assert str(message["Reply-To"]) == "help@acme.example"
    assert message["Subject"] == "Hi Ada"
    assert message["Date"] == "Thu, 02 Jul 2026 09:00:00 +0000"
    assert message.get_content_type() == "multipart/alternative"
    assert [one.get_content_type() for one in message.iter_parts()] == ["text/plain", "text/html"]
    assert not message.defects


def test_links_are_tracked_and_lead_where_they_led() -> None:
    html = part(parsed(rendered(a_mail())), "html")
    token = html.split("/t/c/")[1].split('"')[0]
    mail = tracking.read(token, "c", KEY)
    assert mail.url == "https://x.example/?a=1&b=2"
    assert (mail.contact_id, mail.step_id) == (CONTACT, "send")
    assert "/t/o/" in html
    with pytest.raises(tracking.BadToken):
        tracking.read(token, "u", KEY)
    with pytest.raises(tracking.BadToken):
        tracking.read(token + "x", "c", KEY)


def test_links_with_tags_lead_where_they_lead_for_the_contact() -> None:
    html = html_of(
        '<a href="https://x.example/{{contact.city:default="none"}}?a=1&amp;b=2">a</a>'
        "<A class=big HREF='{{contact.page}}'>b</A><a href={{contact.page}}>c</a>",
        city="Köln",
        page="HTTPS://own.example/?q=1&r=2",
    )
    own = "HTTPS://own.example/?q=1&r=2"
    assert led_to(html) == ["https://x.example/Köln?a=1&b=2", own, own]


def test_other_links_stay() -> None:
    written = (
        '<a href="mailto:a@b.example">m</a><a href="#top">t</a><a name="https://x.example">n</a>'
        '<a href="tel:{{contact.phone}}">p</a><a href="https://flows.example/t/u/x">u</a>'
    )
    html = html_of(written, phone='"1"')
    assert written.replace("{{contact.phone}}", "&quot;1&quot;") in html
    assert not led_to(html)


def test_links_in_comments_are_tracked_because_outlook_shows_them() -> None:
    html = "<!--[if mso]><a href='https://mso.example'>x</a><![endif]--><p>y</p>"
    assert led_to(html_of(html)) == ["https://mso.example"]
    assert text_of(html) == "y"


def test_a_script_is_left_alone() -> None:
    html = """<script>document.write('<a href="https://x.example">x</a></body>')</script><p>y</p>"""
    assert html in html_of(html)


def test_marketing_mail_can_be_unsubscribed_from() -> None:
    mail = rendered(a_mail())
    message = parsed(mail)
    link = message["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://flows.example/t/u/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in part(message, "html")
    assert f"Unsubscribe: {link}" in part(message, "plain")
    line = next(one for one in mail.message.split(b"\r\n") if one.startswith(b"List-Unsubscribe:"))
    assert line.endswith(b">"), "the header is on one line and not encoded"
    assert tracking.read(link.rpartition("/")[2], "u", KEY).contact_id == CONTACT


def test_an_own_way_to_unsubscribe_is_enough() -> None:
    own = a_mail(html='<a href="{{tented.unsubscribeOneClickLink}}">leave</a>')
    message = parsed(rendered(own))
    assert part(message, "html").count("/t/u/") == 1
    assert part(message, "plain").count("/t/u/") == 1
    assert "leave <https://flows.example/t/u/" in part(message, "plain")
    text = a_mail(text="Leave: {{sender.unsubscribeOneClickLink}}")
    assert part(parsed(rendered(text)), "plain").count("/t/u/") == 1


def test_operational_mail_carries_none_of_it() -> None:
    message = parsed(rendered(a_mail(), a_request(operational=True)))
    assert message["List-Unsubscribe"] is None
    assert "/t/u/" not in part(message, "html") + part(message, "plain")
    assert "/t/o/" in part(message, "html")


def test_what_is_added_stands_where_it_is_shown() -> None:
    for start, rest in (
        ("<body><p>x</p>", "</BODY ></html>"),
        ("<p>x</p>", "<!-- never ends </body>"),
        ("<p>x</p>", "<style> never ends </body>"),
        ("<p>x</p><!-- </body> --><p>y</p>", "</body>"),
        ("<p>x</p>", "<p never ends"),
    ):
        html = html_of(start + rest)
        assert html.startswith(f'{start}<p><a href="https://flows.example/t/u/'), start
        assert html.endswith(f'alt="">{rest}\n'), rest


def test_the_preheader_is_hidden_at_the_top() -> None:
    html = part(parsed(rendered(a_mail(preview_text='<3 {{contact.x:default="a"}}'))), "html")
    assert html.startswith('<div style="display:none;max-height:0;overflow:hidden">&lt;3 &quot;a')


def test_what_contacts_say_is_no_markup_and_no_header() -> None:
    message = parsed(rendered(a_mail(), firstName="<b>Bo</b>\r\nBcc: everyone@example.com"))
    assert message["Subject"] == "Hi <b>Bo</b> Bcc: everyone@example.com"
    assert message["Bcc"] is None
    assert "&lt;b&gt;Bo&lt;/b&gt;" in part(message, "html")
    assert "Hello <b>Bo</b> Bcc: everyone@example.com\n" in part(message, "plain")


def test_standard_fields_come_before_custom_fields_of_the_same_name() -> None:
    mail = a_mail(subject="{{contact.a}} {{contact.b}} {{campaign.dynamic.c}} {{sender.company}}",
                  sender={"company": "Acme"})  # fmt: skip
    request = a_request(
        fields={"email": "ada@example.com", "a": "field"},
        custom_fields={"a": "custom", "b": 7},
        dynamic_context={"c": True},
    )
    assert parsed(rendered(mail, request))["Subject"] == "field 7 true Acme"


def test_text_is_made_of_html() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><h1>Hello &amp;\n hi</h1>"
        "<p>One<br>two {{contact.firstName}}</p><a href='https://x.y/?a&amp;b={{contact.city}}'>go</a>"
        "<!-- not {{contact.city}} --><script>no('{{contact.city}}')</script> {{contact.last}}"
    )
    assert text_of(html, firstName="A&B", city="Ulm", last="x\n y") == (
        "Hello & hi\n\nOne\ntwo A&B\ngo <https://x.y/?a&b=Ulm> x y"
    )


def test_own_text_is_sent_as_written() -> None:
    mail = a_mail(text="Dear {{contact.firstName}},\r\n  <b> & so on")
    text = part(parsed(rendered(mail, firstName="A\nB")), "plain")
    assert text.startswith("Dear A\nB,\n  <b> & so on\n\nUnsubscribe: ")


def test_a_text_beyond_ascii_is_sent_as_base64() -> None:
    mail = rendered(a_mail(html="<p>Привет, {{contact.firstName}}</p>" * 50), firstName="мир")
    assert b"Content-Transfer-Encoding: base64" in mail.message
    assert part(parsed(mail), "html").count("<p>Привет, мир</p>") == 50
    assert max(map(len, mail.message.split(b"\r\n"))) < 998


def test_a_mail_too_large_for_any_server_is_refused() -> None:
    many = a_mail(html="{{contact.bio}}" * 1000)
    with pytest.raises(CannotCompose, match="too_large"):
        rendered(many, bio="x" * 100_000)
    with pytest.raises(CannotCompose, match="too_large"):
        rendered(a_mail(subject="{{contact.bio}}" * 200), bio="x" * 100_000)
    with pytest.raises(CannotCompose, match="too_large"):
        rendered(a_mail(html='<a href="{{contact.bio}}">x</a>'), bio="https://x" * 2_000_000)


def test_a_header_that_nobody_could_read_is_refused() -> None:
    with pytest.raises(CannotCompose, match="too_long_header"):
        rendered(a_mail(subject="{{contact.bio}}"), bio="x" * 20_001)


def test_the_longest_step_id_fits_into_the_way_to_unsubscribe() -> None:
    mail = rendered(a_mail(), a_request(step_id=LONGEST_STEP_ID))
    link = parsed(mail)["List-Unsubscribe"].strip("<>")
    assert tracking.read(link.rpartition("/")[2], "u", KEY).step_id == LONGEST_STEP_ID
