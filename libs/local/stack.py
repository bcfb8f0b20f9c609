"""The whole stack as one object: started, looked at, hurt by tests, stopped."""

import os
import secrets
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from libs.chassis.clock import Clock
from libs.local.children import Child, ProcessRef, answers, inherited_env
from libs.local.kafka import ROOT, Kafka, choose_kafka
from libs.local.ports import HOST, free_port
from libs.local.postgres import SERVICES, Postgres

DEFAULT_PARTITIONS = 8
_PORTS = {"api": 8080, "trigger_matcher": 8081, "step_executor": 8082, "scheduler": 8083}


@dataclass
class Stack:
    """Postgres, Kafka, mail sink and services, with everything they keep below one folder.

    Attributes:
        folder: Where data, logs and the environment file go.
        kafka: The broker; None lets `kafka_kind` choose.
        clock_speed: How much faster than the world time runs in all services.
        settings: More variables for every service.
        usual_ports: Whether to take the ports people expect, where they are free. Several stacks
            that start at once would race for them.
    """

    folder: Path
    kafka_kind: str = "embedded"
    kafka: Kafka | None = None
    clock_speed: float = 1.0
    partitions: int = DEFAULT_PARTITIONS
    settings: Mapping[str, str] = field(default_factory=dict)
    usual_ports: bool = True
    api_key: str = field(default_factory=lambda: f"millrace_{secrets.token_urlsafe(32)}")
    workspace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    services: dict[str, Child] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare what does not need to run yet."""
        self.logs = self.folder / "logs"
        self.data = self.folder / "data"
        self.postgres = Postgres(self.data / "postgres", 0 if self.usual_ports else free_port())
        self._own_kafka = self.kafka is None
        self._signing_key = secrets.token_hex(16)
        self._origin = datetime.now(UTC).isoformat()
        self.mail_sink: Child | None = None

    def start(self) -> None:
        """Start everything and return when all of it is ready; stop what was started if not."""
        try:
            self.postgres.start()
            if self.kafka is None:
                self.kafka = choose_kafka(self.kafka_kind, self.data, self.logs, self.partitions)
                self.kafka.start()
            self._start_mail_sink()
            for name in SERVICES:
                self.add_service(name, name, _PORTS[name])
            for name in SERVICES:
                self.wait_ready(name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything that runs, services first."""
        for child in self.services.values():
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in self.services.values():
            child.stop()
        if self.mail_sink:
            self.mail_sink.stop()
        if self.kafka is not None and self._own_kafka:
            self.kafka.stop()
        self.postgres.stop("immediate")

    def add_service(self, name: str, service: str, usual_port: int | None = None) -> Child:
        """Start a process of a service under a name of its own."""
        self.ports[name] = free_port(usual_port if self.usual_ports else None)
        command = [sys.executable, "-m", f"services.{service}"]
        env = self._env(service, self.ports[name])
        self.services[name] = Child(name, command, env, self.logs / f"{name}.log")
        self.services[name].start()
        return self.services[name]

    def restart(self, name: str, extra_env: Mapping[str, str] | None = None) -> None:
        """Start a service that has ended again, with the same environment and some more."""
        self.services[name].start(extra_env)
        self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Wait until a service says that it is ready."""
        url = f"http://{HOST}:{self.ports[name]}/health/ready"
        self.services[name].wait_until(lambda: answers(url))

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://{HOST}:{self.ports['api']}"

    @property
    def mail_sink_url(self) -> str:
        """Where the mails are listed."""
        return f"http://{HOST}:{self.ports['mail_http']}"

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""
        return self.kafka.bootstrap_servers if self.kafka else ""

    @property
    def clock(self) -> Clock:
        """The clock the services go by."""
        return Clock(self.clock_speed, datetime.fromisoformat(self._origin))

    def references(self) -> list[ProcessRef]:
        """Refer to every process, in the order in which they are to be stopped."""
        children = [*self.services.values(), *([self.mail_sink] if self.mail_sink else [])]
        kafka = self.kafka.references() if self.kafka else []
        return [child.reference() for child in children] + kafka + [self.postgres.reference()]

    def exported(self) -> dict[str, str]:
        """Give what users of the stack need to know, by variable."""
        return {
            "MILLRACE_URL": self.url,
            "MILLRACE_API_KEY": self.api_key,
            "MILLRACE_WORKSPACE_ID": self.workspace_id,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "MAIL_SINK_URL": self.mail_sink_url,
            **{f"DATABASE_URL_{name.upper()}": self.postgres.url(name) for name in SERVICES},
        }

    def _start_mail_sink(self) -> None:
        self.ports["smtp"] = free_port(1025 if self.usual_ports else None)
        self.ports["mail_http"] = free_port(8025 if self.usual_ports else None)
        command = [sys.executable, "-m", "libs.local.mail_sink",
                   "--smtp-port", str(self.ports["smtp"]),
                   "--http-port", str(self.ports["mail_http"])]  # fmt: skip
        env = {**inherited_env(), "PYTHONPATH": str(ROOT)}
        self.mail_sink = Child("mail_sink", command, env, self.logs / "mail_sink.log")
        self.mail_sink.start()
        self.mail_sink.wait_until(lambda: answers(self.mail_sink_url))

    def _env(self, service: str, port: int) -> dict[str, str]:
        # The API's own port is known first: links in mails lead to it.
        return {
            **inherited_env(),
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": self.postgres.url(service),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "MILLRACE_ENVIRONMENT": "development",
            "MILLRACE_HTTP_HOST": HOST,
            "MILLRACE_HTTP_PORT": str(port),
            "MILLRACE_LOG_FORMAT": "console",
            "MILLRACE_PARTITIONS": str(self.partitions),
            "MILLRACE_CLOCK_SPEED": str(self.clock_speed),
            "MILLRACE_CLOCK_ORIGIN": self._origin,
            "MILLRACE_PUBLIC_URL": self.url,
            "MILLRACE_SIGNING_KEY": self._signing_key,
            "MILLRACE_SMTP_HOST": HOST,
            "MILLRACE_SMTP_PORT": str(self.ports["smtp"]),
            "MILLRACE_WEBHOOK_ALLOWED": "127.0.0.0/8,::1,localhost",
            "MILLRACE_BOOTSTRAP_API_KEY": self.api_key,
            "MILLRACE_BOOTSTRAP_WORKSPACE_ID": self.workspace_id,
            **self.settings,
        }


def stack_from_environment(folder: Path) -> Stack:
    """Make the stack that the environment asks for.

    `KAFKA` (embedded, apache, external), `MILLRACE_CLOCK_SPEED`, `MILLRACE_PARTITIONS`.
    """
    return Stack(
        folder,
        kafka_kind=os.environ.get("KAFKA") or "embedded",
        clock_speed=float(os.environ.get("MILLRACE_CLOCK_SPEED") or 1),
        partitions=int(os.environ.get("MILLRACE_PARTITIONS") or DEFAULT_PARTITIONS),
    )


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Let a stack run for a while."""
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()
