"""Reading a mail once, so that it can be written to many."""

from libs.contracts.flow_definitions import EmailContent
from libs.domain.mail_text.marked_text import (
    MARK,
    MarkedText,
    mark_tags,
    with_line_end,
)
from libs.domain.mail_text.readable_text import ReadableText
from libs.domain.merge_tags import MergeTag, compile_template
from services.step_executor.deliveries.email import headers, html_part
from services.step_executor.deliveries.email.addresses import mailbox
from services.step_executor.deliveries.email.fillers import (
    UNSUBSCRIBE,
    Occasion,
    TagInText,
    TagOnLine,
    Tail,
    TextFooter,
)
from services.step_executor.deliveries.email.mime_parts import Filler, mime_part
from services.step_executor.deliveries.email.skeleton import EmailSkeleton
from services.step_executor.store.rendered_mail import CannotCompose

MAX_CHARACTERS = 5_000_000
MAX_TAGS = 10_000
Fillable = MarkedText[Filler[Occasion]]


def compile_email(content: EmailContent) -> EmailSkeleton:
    """Read a mail. The time this takes grows with its length, whatever is in it.

    Raises:
        CannotCompose: If this mail can be written to nobody.
    """
    try:
        return _compile(content)
    except CannotCompose:
        raise
    except Exception as error:  # whatever an author wrote costs this mail only
        raise CannotCompose(f"cannot_read: {error!r:.200}") from error


def _compile(content: EmailContent) -> EmailSkeleton:
    if size_of(content) > MAX_CHARACTERS:
        raise CannotCompose("too_large")
    reply_to = content.reply_to_email
    text, html = _bodies(content)
    skeleton = EmailSkeleton(
        email_id=content.email_id,
        sender=mailbox(content.from_address),
        company=content.sender,
        from_name=compile_template(content.from_name),
        subject=compile_template(content.subject),
        reply_to=headers.address("Reply-To", mailbox(reply_to)) if reply_to else b"",
        text=mime_part("plain", text),
        html=mime_part("html", html),
    )
    tags = len(skeleton.from_name.tags) + len(skeleton.subject.tags)
    if tags + len(text.holes) + len(html.holes) > MAX_TAGS:
        raise CannotCompose("too_many_merge_tags")
    return skeleton


def size_of(content: EmailContent) -> int:
    """Count the characters of a mail that are to be read."""
    written = (content.html, content.text, content.subject, content.from_name, content.preview_text)
    return sum(len(one or "") for one in written)


def _bodies(content: EmailContent) -> tuple[Fillable, Fillable]:
    """Make the text and the HTML. Where the author wrote no text, it is read from the HTML."""
    html = html_part.with_preheader(mark_tags(content.html), content.preview_text)
    readable = ReadableText(html)
    if content.text is None:
        outline = html_part.read(html, [readable.take])
        text = readable.result()
    else:
        outline = html_part.read(html, [])
        text = mark_tags(content.text)
    tag_in_text = TagOnLine if content.text is None else TagInText
    holes: list[Filler[Occasion]] = [tag_in_text(tag) for tag in text.holes]
    footer = TextFooter(_has_unsubscribe(text))
    return (
        MarkedText(f"{with_line_end(text.text)}{MARK}", [*holes, footer]),
        html_part.with_holes(outline, Tail(_has_unsubscribe(html))),
    )


def _has_unsubscribe(text: MarkedText[MergeTag]) -> bool:
    return any((tag.scope, tag.key) == ("sender", UNSUBSCRIBE) for tag in text.holes)
