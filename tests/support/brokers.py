"""The broker for tests: the realest one this machine can have."""

import atexit
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.local.children import ProcessRef
from libs.local.kafka import ApacheKafka, EmbeddedKafka, ExternalKafka, Kafka, broker_answers
from libs.local.ports import HOST, free_port
from tests.support.waiting import wait_until

PARTITIONS = 4
VERSION = "4.3.0"
_FORMS_A_CLUSTER_WITHIN = 90.0


@dataclass
class ContainerKafka:
    """Apache Kafka in a container, on a port that stays the same when it is started again.

    testcontainers' own KafkaContainer cannot: it refuses the image's version and moves its port.
    """

    host: str = HOST
    port: int = 0
    container: Any = None
    version: str = f"Apache Kafka {VERSION} (through testcontainers)"

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        if self.container is None:
            self.container = self._create()
            atexit.register(self.container.stop)
            self.container.start()
        else:
            self.container.get_wrapped_container().start()
        wait_until(
            lambda: broker_answers(self.bootstrap_servers),
            "Kafka in a container answers",
            _FORMS_A_CLUSTER_WITHIN,
        )

    def stop(self) -> None:
        self.container.get_wrapped_container().stop()

    def kill(self) -> None:
        self.container.get_wrapped_container().kill()

    def references(self) -> list[ProcessRef]:
        return []

    def _create(self) -> Any:
        # Imported only where Docker is: it looks for the engine.
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415
        from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415

        self.host = DockerClient().host()
        self.port = free_port()
        return (
            DockerContainer(f"apache/kafka:{VERSION}")
            .with_bind_ports(9092, self.port)
            .with_envs(**container_settings(self.bootstrap_servers))
        )


def container_settings(advertised: str) -> dict[str, str]:
    """Give the image its whole configuration: one variable makes it forget its own."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{advertised}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_BROKER_SESSION_TIMEOUT_MS": "3000",
        "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "500",
    }


def docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "info"], check=False, capture_output=True, timeout=20)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def broker_for_tests(folder: Path) -> Kafka:
    """Choose: KAFKA_BOOTSTRAP_SERVERS, testcontainers, Apache Kafka through Maven, the mock."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return ExternalKafka(servers)
    if docker_answers():
        return ContainerKafka()
    if ApacheKafka.available():
        return ApacheKafka(folder / "kafka", folder / "kafka.log", free_port(), free_port())
    return EmbeddedKafka(folder / "kafka.log", PARTITIONS)


def is_real(kafka: Kafka) -> bool:
    return not isinstance(kafka, EmbeddedKafka)
