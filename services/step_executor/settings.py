"""What the environment may set for the step executor."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from libs.chassis.process.settings import ServiceSettings
from libs.domain.calendar import MAX_WAIT

_LONGEST_WINDOW_DAYS = MAX_WAIT.days


class Settings(ServiceSettings):
    """Where mails go out, how links in them are made, and how much is done at once.

    `MILLRACE_PUBLIC_URL` is the API's address as recipients reach it; `MILLRACE_SIGNING_KEY` must
    be the API's own. `MILLRACE_EXECUTOR_ROLE` says what this process does: `walk` memberships,
    `send` deliveries (any number of such processes may be added), or both.

    Every stage of handing a mail over has its limit: making a connection, each answer, and the
    answer to a whole mail, for which RFC 5321 (4.5.3.2.6) asks ten minutes.

    As many mails are handed over at once as `MILLRACE_DELIVERIES_AT_ONCE` says, each over a
    connection of its own; `MILLRACE_DELIVERIES_CLAIMED_AHEAD` more are claimed meanwhile. More make
    larger, cheaper batches; what a killed process held is made again by others, one by one.

    Webhooks go to public addresses; `MILLRACE_WEBHOOK_ALLOWED` names hosts, addresses and networks
    (with commas between) that are allowed besides. Tokens they name instead of holding them are
    read below `MILLRACE_WEBHOOK_SECRETS_FOLDER`.

    What contacts did is kept for `MILLRACE_ACTIVITY_KEEP_DAYS`, which no window of a rule may
    exceed; from then on it only counts where a rule asks for all there ever was.
    """

    public_url: str
    signing_key: Annotated[SecretStr, Field(min_length=16)]
    executor_role: Literal["both", "walk", "send"] = "both"
    smtp_host: str
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_connect_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    smtp_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    smtp_data_timeout_seconds: Annotated[float, Field(gt=0)] = 600.0
    webhook_allowed: str = ""
    webhook_secrets_folder: Path | None = None
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=14)] = 10.0
    webhooks_at_once: Annotated[int, Field(ge=1, le=500)] = 64
    webhooks_per_host: Annotated[int, Field(ge=1, le=500)] = 8
    deliveries_at_once: Annotated[int, Field(ge=1, le=500)] = 64
    deliveries_claimed_ahead: Annotated[int, Field(ge=0, le=500)] = 128
    delivery_attempts: Annotated[int, Field(ge=1)] = 300
    delivery_ambiguous_attempts: Annotated[int, Field(ge=0)] = 3
    sender_lease_seconds: Annotated[float, Field(ge=2, le=60)] = 8.0
    marketing_max_lag_seconds: Annotated[float, Field(gt=0)] = 300.0
    members_per_page: Annotated[int, Field(ge=1, le=5000)] = 500
    ended_memberships_keep_days: Annotated[float, Field(ge=1)] = 400.0
    ended_deliveries_keep_days: Annotated[float, Field(ge=1)] = 90.0
    activity_keep_days: Annotated[float, Field(ge=_LONGEST_WINDOW_DAYS)] = 1096.0
    deleted_contacts_keep_days: Annotated[float, Field(ge=1)] = 90.0
