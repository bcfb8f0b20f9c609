"""Call an address of the user's, and go on when it has answered or has failed for good."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from libs.domain.contact import Scalar
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, DeliverWebhook, Exit, StepContext, StepResult, Suspend
from libs.domain.walk_events import DeliveryFinished
from libs.domain.webhook_url import UrlRefused, read_url

RESERVED_KEYS = frozenset(
    "event orgId campaignId membershipId contactId nodeId nodeType timestamp contact "
    "formData formId tentId".split()
)
"""What a payload says itself: a custom field of one of these names would never be seen."""
_NOWHERE = "nowhere"


class SendWebhookStep(LinearStep):
    """An HTTP request about the contact and its run.

    `custom_fields` join the payload at the top, merge tags in them rendered. With `auth: jwt` it
    carries a bearer token: `token` itself, or what is kept under `secret_arn`. One that has failed
    for good goes on along the edge, unless `on_failure` says to drop the contact.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["send_webhook"]
    url: str | None = None
    method: Literal["post", "put", "get"] = "post"
    auth: Literal["none", "jwt"] = "none"
    token: Annotated[str | None, Field(repr=False)] = None
    secret_arn: str | None = None
    custom_fields: dict[str, Scalar] = {}
    on_failure: Literal["continue", "drop"] = "continue"

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know yet where to, or with which token, or name fields nobody has."""
        if not self.url:
            yield Issue.at("url")
        for name, value in self.custom_fields.items():
            if not inventory.knows_tags_of(value):
                yield Issue.at("custom_fields", name, code="unknown_tags")
        if self.auth != "jwt":
            return
        if (self.token is None) == (self.secret_arn is None):
            yield Issue.at("token")
        elif self.secret_arn is not None and not inventory.secrets:
            yield Issue.at("secret_arn")

    def on_enter(self, context: StepContext) -> StepResult:  # noqa: ARG002  (nothing to look at yet)
        """Plan the delivery, also to where none can go: then it fails, as others do."""
        if not self.url:
            return Continue(outcome="skipped", details={"reason": "no_url"})
        try:
            target = read_url(self.url).target
        except UrlRefused:
            target = _NOWHERE
        return Suspend("delivery", effects=(DeliverWebhook(self.step_id, target),))

    def on_event(self, context: StepContext) -> StepResult:
        """Go on: a webhook that is lost must not strand the contact, unless its author says so."""
        match context.event:
            case DeliveryFinished(outcome="failed") if self.on_failure == "drop":
                return Exit("step_failed")
            case DeliveryFinished(outcome=outcome, reason=reason):
                return Continue(outcome=outcome, details={"reason": reason} if reason else {})
            case _:
                return Continue()
