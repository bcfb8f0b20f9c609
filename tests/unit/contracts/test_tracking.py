"""Tokens: made fast, and read by what read them before."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from libs.contracts.tracking import BadToken, Purpose, Signer, TrackedMail, read, sign

KEY = "0123456789abcdef"
PURPOSES: list[Purpose] = ["o", "c", "u"]


def a_tracked_mail(step_id: str = "send", url: str | None = None) -> TrackedMail:
    return TrackedMail(
        workspace_id=UUID(int=1), contact_id=UUID(int=2), email_id=UUID(int=3),
        membership_id=UUID(int=4), step_id=step_id, message_id="<x@y.example>", url=url,
    )  # fmt: skip


@given(st.text(max_size=120), st.none() | st.text() | st.text("abc", min_size=600), st.data())
def test_what_is_signed_can_be_read(step_id: str, url: str | None, data: st.DataObject) -> None:
    purpose = data.draw(st.sampled_from(PURPOSES))
    mail = a_tracked_mail(step_id, url)
    token = Signer(KEY).of(mail).sign(purpose, url)
    assert token == sign(mail, purpose, KEY)
    assert read(token, purpose, KEY) == mail
    for other in {*PURPOSES} - {purpose}:
        with pytest.raises(BadToken):
            read(token, other, KEY)
    with pytest.raises(BadToken):
        read(token, purpose, KEY + "x")


def test_tokens_are_those_of_itsdangerous() -> None:
    mail = a_tracked_mail(url="https://x.example/?a=ü")
    serializer = URLSafeSerializer(KEY, salt="millrace.tracking.c")
    content = list(mail.model_dump(mode="json").values())
    assert serializer.loads(sign(mail, "c", KEY)) == content
    assert read(str(serializer.dumps(content)), "c", KEY) == mail, "links that are out still lead"


def test_long_tokens_are_compressed() -> None:
    assert len(sign(a_tracked_mail(url="https://x.example/" + "a" * 5000), "c", KEY)) < 600
