"""What the environment may set for the API."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, SecretStr

from libs.chassis.process.settings import ServiceSettings


class Settings(ServiceSettings):
    """Addresses, keys, patience, and how long things are kept.

    `MILLRACE_BOOTSTRAP_API_KEY` and `MILLRACE_BOOTSTRAP_WORKSPACE_ID` make a first workspace with a
    key at the start, if they are set and it does not exist.

    What is older than `…_keep_days` is dropped, a month at a time: ended memberships with their
    timelines, refusals, submissions of forms that are nobody's, web pages, and that a contact was
    deleted (until then a late update does not bring it back).

    `MILLRACE_WEBHOOK_ALLOWED` names hosts, addresses and networks where webhooks may go although
    they are not public; `MILLRACE_WEBHOOK_SECRETS` says that the executors can look secrets up.

    `MILLRACE_PAGE_GENERATOR_URL` is where web pages are made of prompts; without it steps that need
    that are not ready. Its contract: services/api/native/README.md, "Web pages".

    `MILLRACE_SEEN_EVENTS_KEEP_DAYS` is how long an event may be repeated; the trigger matcher must
    have the same.
    """

    public_url: str
    signing_key: Annotated[SecretStr, Field(min_length=16)]
    webhook_allowed: str = ""
    webhook_secrets: bool = False
    bootstrap_api_key: Annotated[SecretStr, Field(min_length=24)] | None = None
    bootstrap_workspace_id: UUID | None = None
    reply_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    definition_wait_seconds: Annotated[float, Field(ge=0)] = 5.0
    directory_wait_seconds: Annotated[float, Field(ge=0)] = 5.0
    ended_memberships_keep_days: Annotated[float, Field(ge=1, le=36_500)] = 400.0
    refusals_keep_days: Annotated[float, Field(ge=1, le=36_500)] = 90.0
    deleted_contacts_keep_days: Annotated[float, Field(ge=8, le=36_500)] = 90.0
    form_submissions_keep_days: Annotated[float, Field(ge=1, le=36_500)] = 400.0
    page_generator_url: Annotated[str, Field(pattern=r"^https?://[^/]")] | None = None
    pages_keep_days: Annotated[float, Field(ge=8, le=36_500)] = 400.0
    seen_events_keep_days: Annotated[float, Field(gt=0)] = 7.0
