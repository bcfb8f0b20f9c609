"""Making one delivery that is a mail: compose it, hand it over, say what came of it."""

import asyncio
from typing import Literal

from prometheus_client import Counter

from libs.chassis import failpoints
from libs.chassis.telemetry.logs import logger
from services.step_executor.deliveries.confirmations import Confirmations
from services.step_executor.deliveries.email.email_contents import EmailContents
from services.step_executor.deliveries.email.links import Links
from services.step_executor.deliveries.email.mail_request import MailRequest
from services.step_executor.deliveries.smtp.mail_server import Answer, MailServer
from services.step_executor.deliveries.target import Target
from services.step_executor.settings import Settings
from services.step_executor.store.deliveries import Circumstances, Claimed, GivenBack, Job, Result
from services.step_executor.store.rendered_mail import CannotCompose, RenderedMail

DELIVERIES = Counter(
    "millrace_deliveries_total",
    "Attempts to make a delivery, by how they ended.",
    ["outcome"],
)
AMBIGUOUS = Counter(
    "millrace_deliveries_ambiguous_total",
    "Deliveries that may have been handed over without our knowing: their sender died while it was "
    "at them, or the connection was lost before the answer. They are made again.",
)
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 1.0, 900.0
_LARGE_BYTES = 100_000
"""A larger mail is filled in on a thread: it would hold up everything else in this process."""
_log = logger(__name__)


class MakeDelivery:
    """Makes deliveries, one at a call; whatever is wrong with one costs that one alone."""

    def __init__(
        self,
        server: MailServer,
        contents: EmailContents,
        confirmations: Confirmations,
        target: Target,
        settings: Settings,
    ) -> None:
        self._server = server
        self._contents = contents
        self._confirmations = confirmations
        self._target = target
        self._settings = settings
        self._links = Links(settings.public_url, settings.signing_key.get_secret_value())

    async def make(self, job: Job) -> Result | GivenBack:
        """Make a delivery that was judged right; say how it ended, or when to try again.

        Raises:
            Exception: At an outage of the database; nothing was handed over.
        """
        claimed = job.claimed
        try:
            mail = await self._mail(claimed, job.circumstances)
        except CannotCompose as error:
            return self._over(claimed, "failed", f"cannot_compose: {error}")
        failpoints.reach("before_send")
        answer = await self._server.hand_over(
            mail, lambda: self._confirmations.confirm(job.token, claimed.key)
        )
        failpoints.reach("after_send")
        self._note_target(claimed, answer)
        DELIVERIES.labels(answer.outcome).inc()
        if answer.outcome not in ("sent", "withdrawn"):
            _log.warning("delivery.not_sent", outcome=answer.outcome, reason=answer.reason)
        return self._outcome(claimed, mail, answer)

    async def _mail(self, claimed: Claimed, now: Circumstances) -> RenderedMail:
        if isinstance(claimed.rendered, RenderedMail):
            return claimed.rendered
        return await self._compose(claimed, now)

    async def _compose(self, claimed: Claimed, now: Circumstances) -> RenderedMail:
        fields, custom_fields = now.contact or ({}, {})
        request = MailRequest(
            workspace_id=claimed.workspace_id,
            contact_id=claimed.contact_id,
            membership_id=claimed.key.membership_id,
            hop=claimed.key.hop,
            step_id=claimed.step_id,
            fields=fields,
            custom_fields=custom_fields,
            dynamic_context=claimed.dynamic_context,
            operational=claimed.operational,
        )
        if claimed.email_id is None:
            raise CannotCompose("email_not_found")
        skeleton = await self._contents.skeleton(claimed.email_id, now.email_version or 0)
        if skeleton.size < _LARGE_BYTES:
            return skeleton.render(request, self._links, claimed.planned_at)
        return await asyncio.to_thread(skeleton.render, request, self._links, claimed.planned_at)

    def _note_target(self, claimed: Claimed, answer: Answer) -> None:
        match answer.outcome:
            case "unreachable":
                self._target.did_not_answer()
            case "interrupted":
                self._target.interrupted(claimed.key)
            case "sent" | "failed" | "retry" | "ambiguous":
                self._target.answered()
            case "withdrawn":
                return

    def _outcome(self, claimed: Claimed, mail: RenderedMail, answer: Answer) -> Result | GivenBack:
        match answer.outcome:
            case "sent" | "failed" as ended:
                return self._over(claimed, ended, None if ended == "sent" else answer.reason)
            case "retry" | "interrupted":
                return self._again(claimed, mail, answer)
            case "ambiguous":
                AMBIGUOUS.inc()
                return self._again(claimed, mail, answer)
            case "unreachable" | "withdrawn":
                return GivenBack(claimed.key, 0.0)

    def _again(self, claimed: Claimed, mail: RenderedMail, answer: Answer) -> Result | GivenBack:
        """Try again later, unless that was done often enough.

        What may have arrived is handed over again as it is. What certainly has not is written anew
        then, under the same Message-ID: its contact may have changed.
        """
        ambiguous = answer.outcome == "ambiguous"
        if claimed.attempt >= self._settings.delivery_attempts:
            return self._over(claimed, "failed", answer.reason)
        if ambiguous and claimed.ambiguous >= self._settings.delivery_ambiguous_attempts:
            return self._over(claimed, "failed", f"no answer, several times: {answer.reason}")
        wait = retry_seconds(claimed.attempt)
        rendered = mail if ambiguous else None
        return GivenBack(claimed.key, wait, attempted=True, ambiguous=ambiguous, rendered=rendered)

    def _over(
        self, claimed: Claimed, outcome: Literal["sent", "failed"], reason: str | None
    ) -> Result:
        return Result(claimed.key, claimed.partition, outcome, reason)


def retry_seconds(attempt: int) -> float:
    """Say how long to wait after an attempt, in real time: longer after each."""
    return min(_FIRST_RETRY_SECONDS * 2.0 ** min(attempt - 1, 20), _LONGEST_RETRY_SECONDS)
