"""Making the web pages that steps of flows ask for.

A page of a template is made in one transaction: it is taken, rendered, given its alias, and the
answer to the membership that waits for it is written, all or nothing. One that is generated takes
time: it is claimed, generated without a transaction, and finished in one, by whoever is first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from uuid import UUID

from prometheus_client import Counter

from libs.chassis import failpoints
from libs.chassis.exactly_once.relay import Unit
from libs.chassis.telemetry.logs import logger
from libs.contracts.message import derived_id
from libs.contracts.step_commands import FinishPage
from libs.domain.merge_tags import Template, Values, compile_template
from libs.domain.page_alias import ROOT, fault_of_alias
from services.api.store import page_templates, web_pages
from services.api.store.page_templates import TemplateKey
from services.api.store.web_pages import AskedPage, MadePage
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.page_generator import RETRY_SECONDS, PageGenerator

PAGES = Counter("millrace_pages_total", "Web pages that steps asked for, by outcome.", ["outcome"])
CLAIM_SECONDS = 90.0
"""Longer than an attempt may take: who has not said by then what came of it has died."""
MAX_PAGE_CHARACTERS = 1_000_000
_WORKSPACES, _EACH, _ROUNDS = 8, 4, 25
"""So many workspaces at once, so many pages of each; and how often to look further where none of
the workspaces that come has a page that is due."""
_FIRST = UUID(int=0)
_log = logger(__name__)


class Turn:
    """Workspaces come in turn, so that nobody's million pages delay another's ten."""

    def __init__(self, *, generated: bool) -> None:
        self._generated = generated
        self._after = _FIRST

    async def due(self, unit: Unit, at_most: int) -> list[AskedPage]:
        """Take some pages that are to be made now, from the workspaces whose turn it is."""
        each = max(1, min(_EACH, at_most))
        room = max(1, min(_WORKSPACES, at_most // each))
        for _ in range(_ROUNDS):
            waiting = await self._next(unit, room)
            found = await web_pages.due(unit.tx, waiting, generated=self._generated, each=each)
            if found or not waiting:
                return found
        return []

    async def _next(self, unit: Unit, at_most: int) -> list[UUID]:
        """Name the next workspaces; after the last one the first comes again."""
        for after in dict.fromkeys((self._after, _FIRST)):
            waiting = await web_pages.waiting_workspaces(
                unit.tx, generated=self._generated, after=after, at_most=at_most
            )
            if waiting:
                self._after = waiting[-1]
                return waiting
        return []


async def make_of_templates(app_context: AppContext, turn: Turn) -> bool:
    """Make some pages of templates; False if there was none."""
    async with app_context.relay.unit() as unit:
        asked = await turn.due(unit, _WORKSPACES * _EACH)
        if asked:
            named = {(one.workspace_id, one.template_id or "") for one in asked}
            templates = _Templates(await page_templates.approved(unit.tx, named))
            await _finish(app_context, unit, [templates.made(one) for one in asked])
    return bool(asked)


async def claim_generated(app_context: AppContext, turn: Turn, at_most: int) -> list[AskedPage]:
    """Claim some pages that are to be generated."""
    async with app_context.relay.unit() as unit:
        asked = await turn.due(unit, at_most)
        await web_pages.claim(unit.tx, asked, CLAIM_SECONDS)
    return asked


async def generate(app_context: AppContext, generator: PageGenerator, page: AskedPage) -> None:
    """Have a claimed page generated, and write what came of it."""
    if not page.live:
        await _finish_alone(app_context, MadePage(page, "failed", reason="run_ended"))
        return
    if page.attempt > len(RETRY_SECONDS):  # whoever made the last attempt never said what came
        await _finish_alone(app_context, MadePage(page, "failed", reason="gave_up"))
        return
    failpoints.reach("before_page_generated")
    answer = await generator.make(page)
    failpoints.reach("after_page_generated")
    if answer.again and page.attempt < len(RETRY_SECONDS):
        _log.warning("page.retried", page_id=str(page.page_id), reason=answer.reason)
        async with app_context.relay.unit() as unit:
            await web_pages.put_off(unit.tx, page, RETRY_SECONDS[page.attempt])
        return
    await _finish_alone(app_context, _made(page, answer.html, answer.reason))


async def _finish_alone(app_context: AppContext, made: MadePage) -> None:
    async with app_context.relay.unit() as unit:
        if await web_pages.hold(unit.tx, [made.asked]):
            await _finish(app_context, unit, [made])


class _Templates:
    """The templates of a batch, each read once."""

    def __init__(self, approved: Mapping[TemplateKey, str]) -> None:
        self._compiled: dict[TemplateKey, Template] = {
            key: compile_template(html) for key, html in approved.items()
        }

    def made(self, page: AskedPage) -> MadePage:
        """Make a page of its template."""
        template = self._compiled.get((page.workspace_id, page.template_id or ""))
        if not page.live:
            return MadePage(page, "failed", reason="run_ended")
        if template is None:
            return MadePage(page, "failed", reason="no_approved_template")
        html = _rendered(template, {"contact": page.contact, "campaign.dynamic": page.run})
        return _made(page, html, "page_too_large")


def _rendered(template: Template, values: Values) -> str | None:
    """Fill a template; values can add no markup. None if it would become too long."""
    room = MAX_PAGE_CHARACTERS - sum(map(len, template.literals))
    texts: list[str] = []
    for tag in template.tags:
        texts.append(escape(tag.text(values)))
        room -= len(texts[-1])
        if room < 0:
            return None
    return template.fill(texts)


def _made(page: AskedPage, html: str | None, reason: str | None) -> MadePage:
    if html is None:
        return MadePage(page, "failed", reason=reason)
    storable = html.replace(
        "\0", ""
    )  # no text in the database holds it; one page must not stop all
    return MadePage(page, "published" if page.publish else "made", storable)


async def _finish(app_context: AppContext, unit: Unit, made: Sequence[MadePage]) -> None:
    """Publish pages under their aliases, and answer the memberships that wait for them."""
    named = await _with_aliases(unit, made)
    await web_pages.finish(unit.tx, named)
    for one in named:
        PAGES.labels(one.outcome).inc()
        unit.enqueue(_answer(app_context, one))


async def _with_aliases(unit: Unit, made: Iterable[MadePage]) -> list[MadePage]:
    judged = [_with_alias(one) for one in made]
    wanted = [(one.asked, one.alias) for one in judged if one.alias]
    got = await web_pages.take_aliases(unit.tx, wanted)
    return [
        replace(one, alias=None, warnings=("alias_taken",))
        if one.alias and one.asked.page_id not in got
        else one
        for one in judged
    ]


def _with_alias(made: MadePage) -> MadePage:
    """Say which alias a page is to have: none, if it cannot be one or the page is not seen."""
    alias = made.asked.alias
    if not alias or made.outcome != "published":
        return made
    if fault_of_alias(alias):
        return replace(made, warnings=("alias_malformed",))
    return replace(made, alias=alias)


def _answer(app_context: AppContext, made: MadePage) -> FinishPage:
    page = made.asked
    return FinishPage(
        id=derived_id("page made", page.page_id),
        time=app_context.clock.now(),
        workspace_id=page.workspace_id,
        contact_id=page.contact_id,
        membership_id=page.membership_id,
        hop=page.hop,
        page_id=page.page_id,
        outcome=made.outcome,
        url=_url(app_context, made) if made.outcome == "published" else None,
        warnings=list(made.warnings),
        reason=made.reason,
    )


def _url(app_context: AppContext, made: MadePage) -> str:
    name = "" if made.alias == ROOT else made.alias or str(made.asked.page_id)
    base = app_context.settings.public_url.rstrip("/")
    return f"{base}/pages/{made.asked.workspace_id}/{name}"
