"""Have a web page made for the contact, and go on when it is there or cannot be made."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from libs.domain.contact import ContactSnapshot, Scalar
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.merge_tags import Values, render, tags_in
from libs.domain.page_alias import fault_of_alias, rendered_alias
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, RequestPage, StepContext, StepResult, Suspend
from libs.domain.strictness import is_strict
from libs.domain.walk_events import PageFinished

ANSWER_WITHIN = timedelta(days=7)
"""Whoever makes pages says in any case what became of one, within some hours. This is the net."""
MAX_PROMPT_CHARACTERS = 10_000
MAX_RENDERED_PROMPT = 20_000
MAX_NAME_CHARACTERS = 200
MAX_ALIAS_TEMPLATE = 500
MAX_VALUE_CHARACTERS = 1000
MAX_SHOWN_CHARACTERS = 50_000
"""So much of a contact a page may show: what asks for it must fit its topic."""


def check_alias(alias: str | None, *, publish: bool) -> None:
    """See that an alias can be one, where it holds no tags, and that its page is to be seen.

    Raises:
        ValueError: If not.
    """
    if alias is None:
        return
    if not publish:
        raise ValueError("only a page that is published has an alias")
    fault = None if any(True for _ in tags_in(alias)) else fault_of_alias(alias)
    if fault:
        raise ValueError(fault)


class CreateTentStep(LinearStep):
    """A page of a template, or one that is generated from a prompt (`scratch`).

    `prompt`, `alias` and `name` may hold merge tags. A page with `auto_publish` can be seen by
    whoever has its address, which later steps of the run know as `tentURL`.
    """

    awaits_answer: ClassVar[bool] = True

    type: Literal["create_tent"]
    source: Literal["scratch", "template"] = "scratch"
    template_id: Annotated[str, Field(max_length=64)] | None = None
    prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARACTERS)] | None = None
    auto_publish: bool = False
    alias: Annotated[str, Field(max_length=MAX_ALIAS_TEMPLATE)] | None = None
    name: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)] | None = None

    @model_validator(mode="after")
    def _alias_can_be_one(self, info: ValidationInfo) -> Self:
        if is_strict(info):
            check_alias(self.alias, publish=self.auto_publish)
        return self

    def templates(self) -> Iterable[str]:
        """Name its template."""
        return (self.template_id,) if self.source == "template" and self.template_id else ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know yet what its page is made of; a prompt needs who understands it."""
        if self.source == "template":
            status = inventory.templates.get(self.template_id or "")
            if status is None:
                yield Issue.at("template_id", code="unknown" if self.template_id else "missing")
            elif status != "approved":
                yield Issue.at("template_id", code="not_approved")
        elif not self.prompt:
            yield Issue.at("prompt")
        elif not inventory.page_generator:
            yield Issue.at("prompt", code="not_configured")
        for place, text in (("prompt", self.prompt), ("alias", self.alias), ("name", self.name)):
            if not inventory.knows_tags_of(text):
                yield Issue.at(place, code="unknown_tags")

    def on_enter(self, context: StepContext) -> StepResult:
        """Ask for the page."""
        of_template = self.source == "template"
        if not (self.template_id if of_template else self.prompt):
            reason = "no_template" if of_template else "no_prompt"
            return Continue(outcome="skipped", details={"reason": reason})
        return Suspend("answer", context.now + ANSWER_WITHIN, effects=(self._request(context),))

    def on_event(self, context: StepContext) -> StepResult:
        """Go on whatever became of the page: one that is lost must not strand the contact."""
        match context.event:
            case PageFinished(outcome=outcome, reason=reason):
                return Continue(outcome=outcome, details={"reason": reason} if reason else {})
            case _:  # it stood at another step, in whose place an edit put this one
                return self.on_enter(context)

    def _request(self, context: StepContext) -> RequestPage:
        shown, run = shown_of(context.contact), context.membership.dynamic_context
        values: Values = {"contact": shown, "campaign.dynamic": run}
        prompt, name = (
            render(text, values, escape=False)[:most] if text else None
            for text, most in ((self.prompt, MAX_RENDERED_PROMPT), (self.name, MAX_NAME_CHARACTERS))
        )
        return RequestPage(
            step_id=self.step_id,
            template_id=self.template_id if self.source == "template" else None,
            prompt=prompt,
            name=name,
            alias=rendered_alias(self.alias, values) if self.alias else None,
            publish=self.auto_publish,
            contact=shown,
            run=run,
        )


def shown_of(contact: ContactSnapshot) -> Mapping[str, Scalar]:
    """Give what a page may show of a contact: every field that holds something, long ones cut."""
    room = MAX_SHOWN_CHARACTERS
    shown: dict[str, Scalar] = {}
    for name, value in {**contact.custom_fields, **contact.fields}.items():
        if value is None or value == "":
            continue
        cut = value[:MAX_VALUE_CHARACTERS] if isinstance(value, str) else value
        room -= len(name) + len(str(cut))
        if room >= 0:
            shown[name] = cut
    return shown
