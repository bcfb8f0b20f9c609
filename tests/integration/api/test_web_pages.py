"""Web pages that steps ask for: made once, published, answered, and gone with their contact."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from libs.chassis import failpoints
from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.membership_events import PageRequested
from libs.contracts.step_commands import FinishPage
from services.api.loops.drop_aliases import drop_aliases
from services.api.loops.make_pages import MakePages
from services.api.store import keys
from services.api.use_cases import erasure
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.page_generator import PageGenerator
from services.api.use_cases.web_pages import Turn, claim_generated
from services.api.wiring import partitioned
from tests.integration.api.conftest import Mirror
from tests.integration.api.messages import Journey, a_journey, contact_event, tell, tell_of_contacts
from tests.integration.api.test_page_templates import approved
from tests.support.builders import CONTACT, NOW, WORKSPACE
from tests.support.http_server import DRIP, DROP, HANG, HUGE, HttpServerFake, http_server
from tests.support.waiting import eventually

BUSY = "503 Service Unavailable"
MORE = "Made of {{contact.firstName:default=nobody}} and {{campaign.dynamic.plan}}"


@dataclass
class Maker:
    """A process that makes pages, without its loop."""

    pool: Pool
    mirror: Mirror
    making: MakePages

    async def look(self) -> None:
        """Look once, and let what was begun end."""
        await self.making.look(asyncio.Event())
        await self.making.settle()

    async def later(self) -> None:
        """Let the time pass until what waits is due again."""
        await self.pool.execute("UPDATE web_page SET next_attempt_at = now()")

    def answers(self) -> list[FinishPage]:
        return [one for one in self.mirror.said if isinstance(one, FinishPage)]


@pytest.fixture
async def generator() -> AsyncIterator[HttpServerFake]:
    async with http_server() as fake:
        yield fake


@pytest.fixture
async def maker(
    context: AppContext, mirror: Mirror, generator: HttpServerFake
) -> AsyncIterator[Maker]:
    asks = PageGenerator(f"http://127.0.0.1:{generator.port}/make", total_seconds=20)
    yield Maker(context.pool, mirror, MakePages(context, asks))
    await asks.close()


def asked(journey: Journey, **changes: Any) -> PageRequested:
    whole = {
        "id": uuid4(), "time": NOW, "workspace_id": WORKSPACE, "contact_id": journey.contact_id,
        "membership_id": journey.membership_id, "flow_id": journey.flow_id, "hop": 1,
        "prompt": "A page for Ada", "name": "Page of Ada", "publish": True,
        "contact": {"firstName": "<b>Ada</b>"}, "run": {"plan": "pro"}, **changes,
    }  # fmt: skip
    return PageRequested.model_validate(whole)


async def ask(pool: Pool, journey: Journey | None = None, **changes: Any) -> PageRequested:
    """Let a membership that has just begun ask for a page."""
    whose = journey or a_journey(contact_id=uuid4())
    page = asked(whose, **changes)
    await tell(pool, whose.enters(), page)
    return page


async def fetch(api: httpx.AsyncClient, url: str) -> httpx.Response:
    return await api.get(url, headers={"Authorization": ""})


async def test_a_page_is_made_of_its_template_and_seen_without_a_key(
    api: httpx.AsyncClient, maker: Maker
) -> None:
    template_id = await approved(api, html=f"<p title='{MORE}'>{MORE}</p>")
    page = await ask(maker.pool, template_id=template_id, alias="ada-offer")
    await maker.look()
    (answer,) = maker.answers()
    url = f"http://api/pages/{WORKSPACE}/ada-offer"
    assert (answer.outcome, answer.url, answer.warnings) == ("published", url, [])
    assert (answer.membership_id, answer.hop) == (page.membership_id, page.hop)
    assert (answer.page_id, answer.contact_id) == (page.id, page.contact_id)
    seen = await fetch(api, url)
    told = "Made of &lt;b&gt;Ada&lt;/b&gt; and pro"
    assert (seen.status_code, seen.text) == (200, f"<p title='{told}'>{told}</p>")
    assert (await fetch(api, f"/pages/{WORKSPACE}/{page.id}")).text == seen.text
    kept = await maker.pool.fetchrow("SELECT asked, name FROM web_page")
    assert dict(kept or {}) == {"asked": None, "name": "Page of Ada"}


async def test_a_page_runs_nothing_and_tells_nobody(api: httpx.AsyncClient, maker: Maker) -> None:
    await ask(maker.pool, alias="/")
    await maker.look()
    for path, status in ((f"/pages/{WORKSPACE}/", 200), (f"/pages/{WORKSPACE}/none", 404)):
        seen = await fetch(api, path)
        assert seen.status_code == status
        policy = seen.headers["Content-Security-Policy"].split("; ")
        assert policy[0].startswith("sandbox ")
        assert not {"allow-scripts", "allow-same-origin"} & set(policy[0].split())
        assert "default-src 'none'" in policy
        assert not [one for one in policy if one.startswith("script-src")]
        assert seen.headers["X-Content-Type-Options"] == "nosniff"
        assert seen.headers["Referrer-Policy"] == "no-referrer"
        assert seen.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient, maker: Maker) -> None:
    page = await ask(maker.pool, publish=False)
    await maker.look()
    (answer,) = maker.answers()
    assert (answer.outcome, answer.url) == ("made", None)
    other = uuid4()
    for path in (f"{WORKSPACE}/{page.id}", f"{WORKSPACE}/{other}", f"{WORKSPACE}/x%00", "x/y",
                 f"{other}/"):  # fmt: skip
        assert (await fetch(api, f"/pages/{path}")).status_code == 404, path


async def test_who_is_late_gets_the_default_address_and_a_warning(
    api: httpx.AsyncClient, maker: Maker
) -> None:
    template_id = await approved(api)
    pages = [await ask(maker.pool, template_id=template_id, alias="offer") for _ in range(3)]
    pages.append(await ask(maker.pool, template_id=template_id, alias="-No alias"))
    await maker.look()
    answers = {one.page_id: one for one in maker.answers()}
    at = f"http://api/pages/{WORKSPACE}"
    first = [one for one in answers.values() if one.url == f"{at}/offer"]
    assert len(first) == 1
    warned = {one.page_id: one.warnings for one in answers.values() if one is not first[0]}
    assert sorted(warned.values()) == [["alias_malformed"], ["alias_taken"], ["alias_taken"]]
    assert warned[pages[3].id] == ["alias_malformed"]
    for page_id in warned:
        assert answers[page_id].url == f"{at}/{page_id}"
        assert (await fetch(api, f"{at}/{page_id}")).status_code == 200


async def test_the_same_page_is_asked_for_once(api: httpx.AsyncClient, maker: Maker) -> None:
    journey, template_id = a_journey(), await approved(api)
    page = await ask(maker.pool, journey, template_id=template_id)
    await tell(maker.pool, page)
    await maker.look()
    await tell(maker.pool, page)
    await maker.look()
    assert len(maker.answers()) == 1


async def test_many_pages_are_made_by_two_processes_each_once(
    api: httpx.AsyncClient, maker: Maker, context: AppContext
) -> None:
    template_id = await approved(api)
    journeys = [a_journey(contact_id=uuid4()) for _ in range(60)]
    pages = [asked(one, template_id=template_id, alias="x") for one in journeys]
    await tell(maker.pool, *(one.enters() for one in journeys), *pages)
    asks = PageGenerator(None)
    other = Maker(context.pool, maker.mirror, MakePages(context, asks))
    await asyncio.gather(maker.look(), other.look())
    await maker.look()
    assert sorted(one.page_id for one in maker.answers()) == sorted(one.id for one in pages)
    assert sum(1 for one in maker.answers() if not one.warnings) == 1
    await asks.close()


async def test_a_template_that_is_gone_or_a_run_that_has_ended_makes_no_page(
    api: httpx.AsyncClient, maker: Maker
) -> None:
    journey, template_id = a_journey(contact_id=uuid4()), await approved(api)
    gone = await ask(maker.pool, template_id="tpl_gone")
    ended = await ask(maker.pool, journey, template_id=template_id)
    generated = asked(journey)
    await tell(maker.pool, generated, journey.is_dropped())
    await maker.look()
    answers = {one.page_id: (one.outcome, one.reason) for one in maker.answers()}
    assert answers == {
        gone.id: ("failed", "no_approved_template"),
        ended.id: ("failed", "run_ended"),
        generated.id: ("failed", "run_ended"),
    }


async def test_a_page_that_would_be_too_long_is_not_made(
    api: httpx.AsyncClient, maker: Maker
) -> None:
    template_id = await approved(api, html="{{contact.long}}" * 2000)
    await ask(maker.pool, template_id=template_id, contact={"long": "<" * 1000})
    await maker.look()
    assert [one.reason for one in maker.answers()] == ["page_too_large"]


async def test_a_prompt_is_told_to_the_generator(
    api: httpx.AsyncClient, maker: Maker, generator: HttpServerFake
) -> None:
    page = await ask(maker.pool, alias="made")
    await maker.look()
    (request,) = generator.requests
    assert (request.method, request.target) == ("POST", "/make")
    assert request.headers["idempotency-key"] == str(page.id)
    body = httpx.Response(200, content=request.body).json()
    assert (body["prompt"], body["name"]) == ("A page for Ada", "Page of Ada")
    assert (body["contact"], body["dynamic_context"]) == (page.contact, page.run)
    assert UUID(body["page_id"]) == page.id
    (answer,) = maker.answers()
    assert (await fetch(api, answer.url or "")).text == "ok"


async def test_a_generator_that_is_busy_or_away_is_asked_again_under_the_same_key(
    maker: Maker, generator: HttpServerFake
) -> None:
    page = await ask(maker.pool)
    generator.answer(BUSY, DROP, "429 Too Many Requests")
    for seconds in (60, 300, 900):
        await maker.look()
        await maker.look()  # not due: nothing is asked
        left = await maker.pool.fetchval("SELECT next_attempt_at - now() FROM web_page")
        assert seconds - 30 < left.total_seconds() <= seconds
        assert maker.answers() == []
        await maker.later()
    await maker.look()
    assert [one.outcome for one in maker.answers()] == ["published"]
    asked_by = [one.headers["idempotency-key"] for one in generator.requests]
    assert asked_by == [str(page.id)] * 4


async def test_after_an_hour_of_trouble_it_has_failed(
    maker: Maker, generator: HttpServerFake
) -> None:
    await ask(maker.pool)
    generator.answer(*[BUSY] * 5)
    for _ in range(5):
        assert maker.answers() == []
        await maker.look()
        await maker.later()
    assert [(one.outcome, one.reason) for one in maker.answers()] == [("failed", "503")]
    await maker.look()
    assert len(generator.requests) == 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("404 Not Found", "404"), ("302 Found", "302"), (HUGE, "page_too_large")],
)
async def test_what_is_refused_for_good_is_asked_once(
    maker: Maker, generator: HttpServerFake, answer: str, reason: str
) -> None:
    await ask(maker.pool)
    generator.answer(answer)
    await maker.look()
    assert [(one.outcome, one.reason) for one in maker.answers()] == [("failed", reason)]
    assert len(generator.requests) == 1


@pytest.mark.parametrize("answer", [HANG, DRIP])
async def test_a_generator_that_does_not_come_to_an_end_is_left(
    maker: Maker, context: AppContext, generator: HttpServerFake, answer: str
) -> None:
    impatient = PageGenerator(f"http://127.0.0.1:{generator.port}/", total_seconds=0.3)
    hasty = Maker(context.pool, maker.mirror, MakePages(context, impatient))
    await ask(maker.pool)
    generator.answer(answer)
    await hasty.look()
    assert maker.answers() == []
    await maker.later()
    await hasty.look()
    assert [one.outcome for one in maker.answers()] == ["published"]
    await impatient.close()


async def test_a_page_whose_maker_died_before_it_asked_is_made_by_another(
    maker: Maker, context: AppContext, generator: HttpServerFake
) -> None:
    await ask(maker.pool)
    assert len(await claim_generated(context, Turn(generated=True), 9)) == 1
    await maker.look()
    assert generator.requests == []  # the claim still holds
    await maker.later()
    await maker.look()
    assert [one.outcome for one in maker.answers()] == ["published"]


async def test_a_page_whose_maker_died_while_it_was_generated_is_made_once(
    maker: Maker, context: AppContext, generator: HttpServerFake
) -> None:
    page = await ask(maker.pool)
    generator.answer(HANG)
    dying = MakePages(context, PageGenerator(f"http://127.0.0.1:{generator.port}/"))
    stopping = asyncio.Event()
    running = asyncio.create_task(dying.run(stopping))
    await eventually(lambda: bool(generator.requests), "the generator to be asked")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert maker.answers() == []
    await maker.later()
    await maker.look()
    assert [one.page_id for one in maker.answers()] == [page.id]
    assert len({one.headers["idempotency-key"] for one in generator.requests}) == 1


@pytest.fixture
def no_points() -> Iterator[None]:
    failpoints.forget()
    yield
    failpoints.forget()


@pytest.mark.usefixtures("no_points")
@pytest.mark.parametrize(
    ("point", "calls"), [("before_page_generated", 1), ("after_page_generated", 2)]
)
async def test_a_maker_may_die_at_any_point(
    maker: Maker, generator: HttpServerFake, point: str, calls: int
) -> None:
    def dies(hit: int) -> None:
        if hit == 1:
            raise asyncio.CancelledError

    page = await ask(maker.pool, alias="once")
    failpoints.plan(point, dies)
    await maker.look()
    assert (failpoints.hits[point], maker.answers()) == (1, [])
    await maker.later()
    await maker.look()
    (answer,) = maker.answers()
    assert (answer.page_id, answer.outcome, answer.warnings) == (page.id, "published", [])
    assert [one.headers["idempotency-key"] for one in generator.requests] == [str(page.id)] * calls


async def test_what_no_database_holds_stops_nobody(api: httpx.AsyncClient, maker: Maker) -> None:
    template_id = await approved(api)
    odd = await ask(
        maker.pool, template_id=template_id, name="a\0b", alias="a\0b", contact={"firstName": "\0x"}
    )
    other = await ask(maker.pool, template_id=template_id)
    await maker.look()
    assert {one.page_id for one in maker.answers()} == {odd.id, other.id}
    seen = await fetch(api, f"/pages/{WORKSPACE}/{odd.id}")
    assert seen.text == "<h1>For x</h1>"


async def test_whoever_is_second_with_the_same_page_says_nothing(
    maker: Maker, context: AppContext, generator: HttpServerFake
) -> None:
    await ask(maker.pool, alias="once")
    generator.answer(HANG)
    looking = asyncio.create_task(maker.look())
    await eventually(lambda: bool(generator.requests), "the generator to be asked")
    await maker.later()
    asks = PageGenerator(f"http://127.0.0.1:{generator.port}/")
    await Maker(context.pool, maker.mirror, MakePages(context, asks)).look()
    generator.hang_up()
    await looking
    await maker.later()
    await maker.look()
    assert [one.warnings for one in maker.answers()] == [[]]
    await asks.close()


async def test_attempts_that_nobody_told_the_end_of_have_an_end(
    maker: Maker, generator: HttpServerFake
) -> None:
    await ask(maker.pool)
    await maker.pool.execute("UPDATE web_page SET attempt = 5")
    await maker.look()
    assert [one.reason for one in maker.answers()] == ["gave_up"]
    assert generator.requests == []


async def test_without_a_generator_a_prompt_fails_and_strands_nobody(
    maker: Maker, context: AppContext
) -> None:
    asks = PageGenerator(None)
    await ask(maker.pool)
    await Maker(context.pool, maker.mirror, MakePages(context, asks)).look()
    assert [one.reason for one in maker.answers()] == ["no_page_generator"]
    await asks.close()


async def test_workspaces_come_in_turn(context: AppContext, maker: Maker) -> None:
    others = [uuid4() for _ in range(3)]
    async with transaction(context.pool) as tx:
        for number, workspace in enumerate(others):
            await keys.put(tx, f"millrace_{number}-key-of-another-workspace", workspace)
    crowd = [a_journey(contact_id=uuid4()) for _ in range(30)]
    await tell(maker.pool, *(one.enters() for one in crowd), *map(asked, crowd))
    for workspace in others:
        await tell(maker.pool, asked(a_journey(), workspace_id=workspace))
    taken = await claim_generated(context, Turn(generated=True), 16)
    by_workspace = [one.workspace_id for one in taken]
    assert set(by_workspace) == {WORKSPACE, *others}
    assert by_workspace.count(WORKSPACE) == 4


async def test_workspaces_that_wait_for_another_attempt_hold_up_nobody(
    context: AppContext, maker: Maker
) -> None:
    others = sorted(uuid4() for _ in range(30))
    for workspace in others:
        await tell(maker.pool, asked(a_journey(), workspace_id=workspace))
    later = "UPDATE web_page SET next_attempt_at = now() + interval '1 hour'"
    await maker.pool.execute(f"{later} WHERE workspace_id <> $1", others[-1])
    taken = await claim_generated(context, Turn(generated=True), 16)
    assert [one.workspace_id for one in taken] == [others[-1]]


async def test_pages_go_with_their_contact(api: httpx.AsyncClient, maker: Maker) -> None:
    journey, template_id = a_journey(), await approved(api)
    page = await ask(maker.pool, journey, template_id=template_id, alias="ada")
    waiting = asked(journey)
    await tell(maker.pool, waiting)
    stranger = await ask(maker.pool, template_id=template_id, alias="bob")
    await maker.look()
    assert len(maker.answers()) == 3
    await tell_of_contacts(maker.pool, contact_event("contact.deleted", {}))
    await erasure.erase_due(maker.pool)
    rows = await maker.pool.fetch("SELECT page_id FROM web_page")
    assert [row["page_id"] for row in rows] == [stranger.id]
    aliases = await maker.pool.fetch("SELECT alias FROM page_alias")
    assert [row["alias"] for row in aliases] == ["bob"]
    for name in ("ada", page.id):
        assert (await fetch(api, f"/pages/{WORKSPACE}/{name}")).status_code == 404
    await tell(maker.pool, asked(a_journey(contact_id=CONTACT)))
    assert len(await maker.pool.fetch("SELECT 1 FROM web_page")) == 1


async def test_a_contact_that_is_deleted_meanwhile_gets_no_page(
    maker: Maker, generator: HttpServerFake
) -> None:
    await ask(maker.pool, a_journey())
    generator.answer(HANG)
    looking = asyncio.create_task(maker.look())
    await eventually(lambda: bool(generator.requests), "the generator to be asked")
    await tell_of_contacts(maker.pool, contact_event("contact.deleted", {}))
    await erasure.erase_due(maker.pool)
    generator.hang_up()
    await looking
    assert maker.answers() == []
    assert await maker.pool.fetch("SELECT 1 FROM web_page") == []


async def test_old_pages_go_with_their_partition_and_free_their_aliases(
    api: httpx.AsyncClient, maker: Maker, context: AppContext
) -> None:
    template_id = await approved(api)
    await ask(maker.pool, template_id=template_id, alias="old")
    await maker.look()
    for table in ("web_page", "page_alias"):
        older = "stored_at = stored_at - make_interval(days => 440)"
        await maker.pool.execute(f"UPDATE {table} SET {older}")  # noqa: S608  (a test's own)
    await ask(maker.pool, template_id=template_id, alias="new")
    await maker.look()
    await maintain_partitions(maker.pool, partitioned(context.settings))
    await drop_aliases(maker.pool, context.settings.pages_keep_days)
    rows = await maker.pool.fetch(
        "SELECT alias FROM web_page UNION ALL SELECT alias FROM page_alias"
    )
    assert [row["alias"] for row in rows] == ["new", "new"]
