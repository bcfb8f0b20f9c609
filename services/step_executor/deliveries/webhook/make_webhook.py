"""Making one delivery that is a webhook: compose, look the token up, call, say what came of it."""

from libs.chassis import failpoints
from libs.chassis.telemetry.logs import logger
from libs.domain.webhook_url import Allowed, UrlRefused, judge_url
from services.step_executor.deliveries.confirmations import Confirmations
from services.step_executor.deliveries.make_delivery import AMBIGUOUS, DELIVERIES
from services.step_executor.deliveries.webhook.answers import Answer, retry_seconds
from services.step_executor.deliveries.webhook.caller import Call, Caller
from services.step_executor.deliveries.webhook.hooks import Hooks
from services.step_executor.deliveries.webhook.payload import (
    CannotCall,
    Hook,
    address_with,
    payload,
)
from services.step_executor.deliveries.webhook.secret_names import SecretNotFound
from services.step_executor.deliveries.webhook.targets import WebhookTargets
from services.step_executor.deliveries.webhook.tokens import Tokens
from services.step_executor.store.deliveries import Claimed, GivenBack, Job, Result
from services.step_executor.store.rendered_webhook import RenderedWebhook

USER_AGENT = "Millrace"
_log = logger(__name__)


class MakeWebhook:
    """Makes webhooks, one at a call; whatever is wrong with one costs that one alone."""

    def __init__(
        self,
        caller: Caller,
        hooks: Hooks,
        confirmations: Confirmations,
        targets: WebhookTargets,
        allowed: Allowed,
        tokens: Tokens,
    ) -> None:
        self._caller = caller
        self._hooks = hooks
        self._confirmations = confirmations
        self._targets = targets
        self._allowed = allowed
        self._tokens = tokens

    async def make(self, job: Job) -> Result | GivenBack:
        """Make a webhook that was judged right; say how it ended, or when to try again.

        Raises:
            Exception: At an outage of the database; nothing was handed over.
        """
        claimed = job.claimed
        told = b""
        try:
            hook = await self._hook(job)
            told = _told(hook, job)
            call = await self._call(hook, claimed, told)
        except (CannotCall, UrlRefused) as error:
            answer = Answer("failed", str(error))
        except SecretNotFound as error:
            answer = Answer("retry", str(error))
        else:
            failpoints.reach("before_send")
            answer = await self._caller.call(
                call, lambda: self._confirmations.confirm(job.token, claimed.key)
            )
            failpoints.reach("after_send")
            self._targets.note(claimed, answer)
        return self._outcome(claimed, told, answer)

    async def _hook(self, job: Job) -> Hook:
        claimed, version = job.claimed, job.circumstances.flow_version or 0
        return await self._hooks.get(claimed.flow_id, claimed.step_id, version)

    async def _call(self, hook: Hook, claimed: Claimed, told: bytes) -> Call:
        step = hook.step
        url = judge_url(step.url or "", self._allowed)
        headers = [
            ("User-Agent", USER_AGENT),
            ("Accept", "*/*"),
            ("Idempotency-Key", f"{claimed.key.membership_id}:{claimed.key.hop}"),
            *await self._authorization(hook, claimed),
        ]
        if step.method == "get":
            return Call("get", url, address_with(url.path, told), tuple(headers))
        headers.append(("Content-Type", "application/json"))
        return Call(step.method, url, url.path, tuple(headers), told)

    async def _authorization(self, hook: Hook, claimed: Claimed) -> list[tuple[str, str]]:
        step = hook.step
        if step.auth == "none":
            return []
        token = await self._tokens.token_of(step, claimed.workspace_id)
        if not token or not token.isascii() or not token.isprintable():
            raise CannotCall("token_malformed")
        return [("Authorization", f"Bearer {token}")]

    def _outcome(self, claimed: Claimed, told: bytes, answer: Answer) -> Result | GivenBack:
        DELIVERIES.labels(answer.outcome).inc()
        match answer.outcome:
            case "sent":
                return Result(claimed.key, claimed.partition, "sent")
            case "withdrawn":
                return GivenBack(claimed.key, 0.0)
            case "failed":
                return _failed(claimed, answer)
            case "ambiguous":
                AMBIGUOUS.inc()
                return _again(claimed, told, answer)
            case "retry" | "unreachable":
                return _again(claimed, told, answer)


def _told(hook: Hook, job: Job) -> bytes:
    """Tell what was told before, if it may have arrived; else how things are now."""
    before = job.claimed.rendered
    if isinstance(before, RenderedWebhook):
        return before.payload
    return payload(hook, job.claimed, job.circumstances)


def _again(claimed: Claimed, told: bytes, answer: Answer) -> Result | GivenBack:
    """Try again later, unless that was done often enough."""
    wait = retry_seconds(claimed.attempt, answer.retry_after)
    if wait is None:
        return _failed(claimed, answer)
    _log.warning("webhook.not_sent", outcome=answer.outcome, reason=answer.reason)
    ambiguous = answer.outcome == "ambiguous"
    rendered = RenderedWebhook(told) if ambiguous else None
    return GivenBack(claimed.key, wait, attempted=True, ambiguous=ambiguous, rendered=rendered)


def _failed(claimed: Claimed, answer: Answer) -> Result:
    _log.warning("webhook.failed", outcome=answer.outcome, reason=answer.reason)
    return Result(claimed.key, claimed.partition, "failed", answer.reason)
