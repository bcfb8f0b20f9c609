"""What the environment may set, the same for every service. A bad variable ends the process."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, PostgresDsn, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """The environment does not say what the service needs to know."""


class ServiceSettings(BaseSettings):
    """The variables every service reads.

    `DATABASE_URL` and `KAFKA_BOOTSTRAP_SERVERS` have no prefix, everything else begins with
    `MILLRACE_`.
    """

    model_config = SettingsConfigDict(
        env_prefix="MILLRACE_", extra="ignore", frozen=True, env_ignore_empty=True
    )

    database_url: Annotated[PostgresDsn, Field(validation_alias="DATABASE_URL")]
    kafka_bootstrap_servers: Annotated[
        str, Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS", min_length=1)
    ]
    environment: Literal["development", "production"] = "production"
    http_host: str = "0.0.0.0"  # noqa: S104  (a container listens on every address it has)
    http_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    partitions: Annotated[int, Field(ge=1, le=1024)] = 64
    topic_replication: Annotated[int, Field(ge=1, le=9)] = 1
    batch_max_records: Annotated[int, Field(ge=1, le=10_000)] = 2000
    batch_interval_ms: Annotated[int, Field(ge=0, le=1000)] = 25
    session_timeout_ms: Annotated[int, Field(ge=1000)] = 6000
    stuck_after_seconds: Annotated[float, Field(gt=0)] = 60.0
    outbox_keep_hours: Annotated[float, Field(ge=0)] = 24.0
    clock_speed: Annotated[float, Field(gt=0)] = 1.0
    clock_origin: datetime | None = None
    crash_points: str = ""
    crash_log: Path | None = None

    @model_validator(mode="after")
    def _only_development_plays_with_time(self) -> Self:
        if self.clock_speed == 1.0:
            return self
        if self.environment == "production":
            raise ValueError("MILLRACE_CLOCK_SPEED: production runs at speed 1")
        if self.clock_origin is None or self.clock_origin.tzinfo is None:
            raise ValueError(
                "MILLRACE_CLOCK_ORIGIN: another speed needs an instant with a zone, the same for "
                "all services"
            )
        return self

    @model_validator(mode="after")
    def _only_development_crashes_on_purpose(self) -> Self:
        if self.crash_points and self.environment == "production":
            raise ValueError("MILLRACE_CRASH_POINTS: not in production")
        return self


Settings = TypeVar("Settings", bound=ServiceSettings)


def read_settings(kind: type[Settings]) -> Settings:
    """Read the environment.

    Raises:
        SettingsError: If a variable is missing or wrong; the message names it.
    """
    try:
        return kind()
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(kind, error))) from None


def _sentences(kind: type[ServiceSettings], error: ValidationError) -> list[str]:
    prefix = kind.model_config.get("env_prefix", "")
    sentences = []
    for problem in error.errors(include_url=False):
        name = str(problem["loc"][0]) if problem["loc"] else ""
        variable = name if name.isupper() else f"{prefix}{name}".upper()
        said = problem["msg"].removeprefix("Value error, ")
        sentences.append(f"{variable}: {said}" if name else said)
    return sentences
