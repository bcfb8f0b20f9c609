"""Make the web pages that steps ask for: at once of templates, some at a time by prompts."""

import asyncio

from libs.chassis.outages import retry_later
from libs.chassis.process.loops import pause
from libs.chassis.telemetry.logs import logger
from services.api.store import web_pages
from services.api.store.web_pages import AskedPage
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.page_generator import PageGenerator
from services.api.use_cases.web_pages import Turn, claim_generated, generate, make_of_templates

_LOOK_SECONDS = 1.0
_AT_ONCE = 16
_log = logger(__name__)


class MakePages:
    """Looks for pages that are to be made, and makes them.

    What is being generated when the process ends is left: its claim runs out, and it is asked for
    again under the same key.
    """

    def __init__(
        self, app_context: AppContext, generator: PageGenerator, at_once: int = _AT_ONCE
    ) -> None:
        self._app_context = app_context
        self._generator = generator
        self._at_once = at_once
        self._of_templates = Turn(generated=False)
        self._generated = Turn(generated=True)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Look again and again, until the process is told to stop."""
        try:
            while not await pause(stopping, _LOOK_SECONDS):
                with retry_later("pages.retried"):
                    await self.look(stopping)
        finally:
            for task in self._under_way:
                task.cancel()
            await self.settle()
            await self._generator.close()

    async def look(self, stopping: asyncio.Event) -> None:
        """Make what is to be made of templates; begin what is to be generated."""
        if not await web_pages.is_any_due(self._app_context.pool):
            return
        await self._begin()
        while not stopping.is_set() and await make_of_templates(
            self._app_context, self._of_templates
        ):
            pass

    async def settle(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _begin(self) -> None:
        room = self._at_once - len(self._under_way)
        if room <= 0:
            return
        for page in await claim_generated(self._app_context, self._generated, room):
            task = asyncio.create_task(self._generate(page))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _generate(self, page: AskedPage) -> None:
        """Generate one page; whatever is wrong with it costs it alone, and it is tried again."""
        try:
            await generate(self._app_context, self._generator, page)
        except Exception as error:  # noqa: BLE001  (its claim runs out, and it comes again)
            _log.error("page.not_generated", page_id=str(page.page_id), exc_info=error)
