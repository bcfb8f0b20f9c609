"""What a webhook says, from the step that wrote it and the contact it is about. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from libs.domain.contact import Scalar
from libs.domain.merge_tags import Template, Values, compile_template
from libs.domain.steps.send_webhook import SendWebhookStep
from services.step_executor.store.deliveries import Circumstances, Claimed

MAX_PAYLOAD_BYTES = 1_000_000
MAX_ADDRESS_BYTES = 8 * 1024
_ALWAYS = ("email", "displayName")


class CannotCall(Exception):  # noqa: N818  (the step's fault or the contact's, not the program's)
    """The webhook cannot be made. The message is a fixed word, without anything of anybody's."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A step that calls an address, read once."""

    step: SendWebhookStep
    templates: Mapping[str, Template] = field(default_factory=dict)

    @classmethod
    def of(cls, step: SendWebhookStep) -> "Hook":
        """Find the merge tags of its fields."""
        texts = {key: one for key, one in step.custom_fields.items() if isinstance(one, str)}
        return cls(step, {key: compile_template(text) for key, text in texts.items()})


def payload(hook: Hook, claimed: Claimed, now: Circumstances) -> bytes:
    """Write what is told, as JSON. What is ours wins over custom fields of the same name.

    The time is that of the planning, so that a repetition says the same.

    Raises:
        CannotCall: If it is too large.
    """
    whole = {**_custom_fields(hook, claimed, now), **_ours(claimed, now)}
    written = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )
    if len(written) > MAX_PAYLOAD_BYTES:
        raise CannotCall("payload_too_large")
    return written


def address_with(path: str, told: bytes) -> str:
    """Put a payload into the query of a path, behind what it asks already.

    Raises:
        CannotCall: If that is longer than servers read.
    """
    pairs = [(key, _as_text(value)) for key, value in json.loads(told).items()]
    before = path if "?" in path else f"{path}?"
    between = "" if before.endswith("?") else "&"
    whole = f"{before}{between}{urlencode(pairs, quote_via=quote)}"
    if len(whole) > MAX_ADDRESS_BYTES:
        raise CannotCall("query_too_large")
    return whole


def _ours(claimed: Claimed, now: Circumstances) -> dict[str, Any]:
    return {
        "event": "flow_step",
        "orgId": str(claimed.workspace_id),
        "campaignId": str(claimed.flow_id),
        "membershipId": str(claimed.key.membership_id),
        "contactId": str(claimed.contact_id),
        "nodeId": claimed.step_id,
        "nodeType": "send_webhook",
        "timestamp": _milliseconds(claimed.planned_at),
        "contact": _contact(claimed, now),
        **_form(now),
    }


def _form(now: Circumstances) -> dict[str, Any]:
    """Give what the form said by which the contact entered, as a form's own webhook would."""
    if now.entry is None:
        return {}
    said = now.entry
    return {"tentId": said["tent_id"], "formId": said["form_id"], "formData": said["fields"]}


def _contact(claimed: Claimed, now: Circumstances) -> dict[str, Any]:
    fields, custom_fields = now.contact or ({}, {})
    return {
        "contactId": str(claimed.contact_id),
        **dict.fromkeys(_ALWAYS),
        **_non_empty(fields),
        "customFields": _non_empty(custom_fields),
    }


def _custom_fields(hook: Hook, claimed: Claimed, now: Circumstances) -> dict[str, Scalar]:
    fields, custom_fields = now.contact or ({}, {})
    values: Values = {
        "contact": {**custom_fields, **fields, "contactId": str(claimed.contact_id)},
        "campaign.dynamic": claimed.dynamic_context,
    }
    room = MAX_PAYLOAD_BYTES
    written: dict[str, Scalar] = dict(hook.step.custom_fields)
    for key, template in hook.templates.items():
        texts = [tag.text(values) for tag in template.tags]
        room -= sum(map(len, texts))
        if room < 0:
            raise CannotCall("payload_too_large")
        written[key] = template.fill(texts)
    return written


def _non_empty(fields: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {key: value for key, value in fields.items() if value is not None and value != ""}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _milliseconds(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
