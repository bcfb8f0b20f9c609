"""Kafka, of three kinds behind one face: apache, embedded, external."""

import os
import shutil
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from libs.local.children import Child, DidNotStart, ProcessRef, inherited_env
from libs.local.ports import HOST, free_port

KAFKA_VERSION = "4.3.0"
ROOT = Path(__file__).resolve().parents[2]
_CACHE = ROOT / ".cache" / f"kafka-{KAFKA_VERSION}"
_JVM_OPTIONS = ("-Xmx512m", "-Xms256m", "-XX:+UseSerialGC")
"""A small heap on few cores: the collector without threads of its own costs the least."""
_POM = Path(__file__).parent / "apache_kafka" / "pom.xml"


class Kafka(Protocol):
    """A broker that can be started; some can be stopped and started again with their data."""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        ...

    @property
    def version(self) -> str:
        """What it is, for people."""
        ...

    def start(self) -> None:
        """Start it and return when it answers."""
        ...

    def stop(self) -> None:
        """Stop it, if it is ours."""
        ...

    def references(self) -> list[ProcessRef]:
        """Refer to its processes, if it is ours."""
        ...


@dataclass
class ApacheKafka:
    """Apache Kafka itself, one node in KRaft mode, from its own jars. Keeps its data on disk."""

    folder: Path
    log: Path
    port: int = 0
    controller_port: int = 0
    _child: Child | None = field(default=None, repr=False)

    @staticmethod
    def available() -> bool:
        """Say whether this machine can run it."""
        return bool(shutil.which("java")) and (_CACHE.exists() or bool(shutil.which("mvn")))

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return f"{HOST}:{self.port}"

    @property
    def version(self) -> str:
        """What it is, for people."""
        return f"Apache Kafka {KAFKA_VERSION} (through Maven)"

    def start(self) -> None:
        """Start it; the first time, with new storage."""
        jars = _jars()
        self.port = self.port or free_port(9092)
        self.controller_port = self.controller_port or free_port()
        properties = self.folder / "server.properties"
        if not properties.exists():
            self._format(jars, properties)
        command = ["java", *_JVM_OPTIONS, "-cp", jars, "kafka.Kafka", str(properties)]
        self._child = Child("kafka", command, inherited_env(), self.log)
        self._child.start()
        self._child.wait_until(lambda: broker_answers(self.bootstrap_servers))

    def stop(self) -> None:
        """Stop it in good order."""
        if self._child:
            self._child.stop()

    def kill(self) -> None:
        """Kill it."""
        if self._child:
            self._child.kill()

    def references(self) -> list[ProcessRef]:
        """Refer to its process."""
        return [self._child.reference()] if self._child else []

    def _format(self, jars: str, properties: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties.write_text(self._properties())
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = ["java", "-cp", jars, "kafka.tools.StorageTool", "format",
                   f"--cluster-id={cluster}", "-c", str(properties)]  # fmt: skip
        formatting = Child("kafka storage", command, inherited_env(), self.log)
        formatting.start()
        if formatting.wait():
            properties.unlink()
            raise DidNotStart(f"Kafka's storage was not made\n{formatting.tail()}")

    def _properties(self) -> str:
        client, controller = f"{HOST}:{self.port}", f"{HOST}:{self.controller_port}"
        return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{client},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{client}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.folder / "logs"}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
metadata.max.idle.interval.ms=0
"""


def _jars() -> str:
    """Fetch the jars once; give the class path."""
    if not _CACHE.exists():
        fetched = _CACHE.with_suffix(".part")
        sys.stderr.write(f"Fetching Apache Kafka {KAFKA_VERSION} with Maven ...\n")
        subprocess.run(  # noqa: S603  (our own command)
            ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(_POM),  # noqa: S607
             f"-Dkafka.version={KAFKA_VERSION}",
             "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        fetched.rename(_CACHE)
    return f"{_CACHE}/*"


def broker_answers(bootstrap_servers: str) -> bool:
    """Say whether a broker can be reached and knows itself."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


@dataclass
class EmbeddedKafka:
    """librdkafka's in-memory broker. Nothing to install, nothing on disk: for trying things out."""

    log: Path
    partitions: int
    bootstrap_servers: str = ""
    _child: Child | None = field(default=None, repr=False)

    @property
    def version(self) -> str:
        """What it is, for people."""
        return "librdkafka's in-memory broker (nothing is kept, and its speed says nothing)"

    def start(self) -> None:
        """Start it; it knows our topics from the start, because it cannot be told later."""
        address = self.log.with_suffix(".address")
        address.unlink(missing_ok=True)
        told = ["--partitions", str(self.partitions), "--address-file", str(address)]
        command = [sys.executable, "-m", "libs.local.embedded_broker", *told]
        env = {**inherited_env(), "PYTHONPATH": str(ROOT)}
        self._child = Child("kafka", command, env, self.log)
        self._child.start()
        self._child.wait_until(address.exists)
        self.bootstrap_servers = address.read_text()

    def stop(self) -> None:
        """Stop it; everything in it is gone."""
        if self._child:
            self._child.stop()

    def references(self) -> list[ProcessRef]:
        """Refer to its process."""
        return [self._child.reference()] if self._child else []


@dataclass
class ExternalKafka:
    """A broker somebody else runs."""

    bootstrap_servers: str
    version: str = "an external broker"

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Not ours to stop."""

    def references(self) -> list[ProcessRef]:
        """None of its processes are ours."""
        return []


def choose_kafka(kind: str, folder: Path, logs: Path, partitions: int) -> Kafka:
    """Give the broker that was asked for, not started yet.

    Raises:
        ValueError: If there is no such kind, or what it needs is missing.
    """
    match kind:
        case "apache":
            if not ApacheKafka.available():
                raise ValueError("KAFKA=apache needs Java 17 or later and Maven")
            return ApacheKafka(folder / "kafka", logs / "kafka.log")
        case "embedded":
            return EmbeddedKafka(logs / "kafka.log", partitions)
        case "external":
            servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
            if not servers:
                raise ValueError("KAFKA=external needs KAFKA_BOOTSTRAP_SERVERS")
            return ExternalKafka(servers)
        case _:
            raise ValueError(f"KAFKA={kind}: choose apache, embedded or external")
