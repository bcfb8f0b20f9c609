"""May this delivery be made now? Judged at every attempt, on things as they are then. Pure."""

from dataclasses import dataclass
from typing import Literal

from libs.domain.contact import may_be_mailed
from services.step_executor.store.deliveries import Circumstances, Claimed

_PAUSED_SECONDS = 30.0
_LAGGING_SECONDS = 10.0
_NOT_ARRIVED_SECONDS = 2.0
_PATIENCE_SECONDS = 600.0
"""So long a mail that is not known yet may take to arrive here: flows and mails travel apart."""


@dataclass(frozen=True, slots=True)
class Send:
    """Yes."""


@dataclass(frozen=True, slots=True)
class Over:
    """No, and never: it ends like this, and the membership goes on."""

    outcome: Literal["skipped", "failed"]
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """Not now; look again after some seconds, for this reason."""

    wait_seconds: float
    reason: str


Judgement = Send | Over | Later


def judge(claimed: Claimed, now: Circumstances, *, max_lag_seconds: float) -> Judgement:
    """Judge a delivery.

    Args:
        claimed: The delivery.
        now: Things as they are.
        max_lag_seconds: Marketing mail waits while what is known of its contact may be older than
            this: an unsubscription may be on its way.
    """
    if reason := _unwanted(claimed, now):
        return Over("skipped", reason)
    if now.flow_status != "active":
        return Later(_PAUSED_SECONDS, "flow_paused")
    if claimed.channel != "email":
        return Send()
    return _judge_mail(claimed, now, max_lag_seconds)


def _judge_mail(claimed: Claimed, now: Circumstances, max_lag_seconds: float) -> Judgement:
    if now.email_version is None:
        is_late = now.waited_seconds > _PATIENCE_SECONDS
        return (
            Over("failed", "email_not_found")
            if is_late
            else Later(_NOT_ARRIVED_SECONDS, "email_not_arrived")
        )
    if not claimed.operational and _lags(now, max_lag_seconds):
        return Later(_LAGGING_SECONDS, "partition_lags")
    return Send()


def _unwanted(claimed: Claimed, now: Circumstances) -> str | None:
    """Say why nobody wants this delivery any more, if so."""
    if not now.wanted:
        return "membership_moved_on"
    if now.flow_status in ("archived", "deleted"):
        return f"flow_{now.flow_status}"
    if now.contact is None:
        return "contact_not_found"
    if claimed.channel != "email":
        return None  # consent is about messages to the contact, not about what others are told
    return may_be_mailed(now.contact[0], operational=claimed.operational)


def _lags(now: Circumstances, max_lag_seconds: float) -> bool:
    return now.lag_seconds is None or now.lag_seconds > max_lag_seconds
