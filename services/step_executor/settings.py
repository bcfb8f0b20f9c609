"""What the environment may set for the step executor."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from libs.chassis.process.settings import ServiceSettings


class Settings(ServiceSettings):
    """Where mails go out, and how links in them are made.

    `MILLRACE_PUBLIC_URL` is the API's address as recipients reach it; `MILLRACE_SIGNING_KEY` must
    be the API's own.
    """

    public_url: str
    signing_key: Annotated[SecretStr, Field(min_length=16)]
    smtp_host: str
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 25
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    deliveries_at_once: Annotated[int, Field(ge=1, le=500)] = 16
    delivery_attempts: Annotated[int, Field(ge=1)] = 300
    members_per_page: Annotated[int, Field(ge=1, le=5000)] = 500
