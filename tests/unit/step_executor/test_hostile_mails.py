"""What people put into mails costs that mail only. Each of these would run for hours if it cost
more than time that grows with its length.
"""

import pytest

from libs.contracts.flow_definitions import EmailContent
from services.step_executor.deliveries.email.compile_email import compile_email
from services.step_executor.store.rendered_mail import CannotCompose
from tests.support.builders import NOW
from tests.support.mails import LINKS, a_mail, a_request, parsed, part

SIZE = 2_000_000
FLOODS = {
    "<a ": None, '<a href="': None, "<a href='x\"": None, '<a ="': None, "<a href= ": None,
    "<![foo ": None, "<": None, "</": None, "<!--": None, "<style>": None, "<script></scrip": None,
    "</body ": None, "<body ": None, "{{": None, "{{ ": None, "{{contact.a:default=": None,
    "{{contact.a ": None, "&amp": None, "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": None, "&#1": None,
    "\n \n": None, "\x00": None, "=": "too_large", "<div>": "too_many_elements",
    "</>": "too_many_elements", "<!-- -->": "too_many_elements", "<!--<b>-->": "too_many_elements",
    '<a href="https://x.example/{{contact.a}}">x</a>': "too_many_links",
    "<a href=x>": "too_many_links", "{{contact.a}}": "too_many_merge_tags",
    "&#" + "1" * 5000: "cannot_read",
}  # fmt: skip


def why_refused(mail: EmailContent) -> str | None:
    try:
        compile_email(mail).render(a_request(), LINKS, NOW)
    except CannotCompose as error:
        return str(error)
    return None


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood[:24])
def test_a_flood_is_read_in_linear_time_or_refused(flood: str) -> None:
    refused, expected = why_refused(a_mail(html=flood * (SIZE // len(flood)))), FLOODS[flood]
    assert refused == expected or (expected and refused and refused.startswith(expected))


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood[:24])
def test_a_flood_that_ends_after_all(flood: str) -> None:
    refused = why_refused(a_mail(html=flood * (SIZE // len(flood)) + '">x}}-->'))
    assert refused is None or refused.startswith(("too_", "cannot_read"))


@pytest.mark.parametrize("flood", ["{{", "{{contact.a:default=", "\n", "é", "="])
def test_a_flood_of_text(flood: str) -> None:
    mail = a_mail(text=flood * (SIZE // len(flood)))
    assert compile_email(mail).render(a_request(), LINKS, NOW).message


@pytest.mark.parametrize("html", ["<![foo", "<!", "</", "<a", '<a href="x', "<!-", "<!--", "&#"])
def test_what_has_no_end_is_no_error(html: str) -> None:
    message = parsed(compile_email(a_mail(html=f"<p>x</p>{html}")).render(a_request(), LINKS, NOW))
    assert html in part(message, "html")
    assert part(message, "plain").startswith("x\n")


def test_nesting_has_no_limit() -> None:
    html = "<b>" * 40_000 + "deep" + "</b>" * 40_000
    message = parsed(compile_email(a_mail(html=html)).render(a_request(), LINKS, NOW))
    assert part(message, "plain").startswith("deep\n")


def test_a_template_larger_than_any_mail_is_not_read() -> None:
    with pytest.raises(CannotCompose, match="too_large"):
        compile_email(a_mail(html="x" * 5_000_001))
