"""The broker for tests: the realest one this machine can have."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.local.kafka import ApacheKafka, EmbeddedKafka, ExternalKafka, Kafka

PARTITIONS = 4
IMAGE = "apache/kafka:4.3.0"


@dataclass
class ContainerKafka:
    """Apache Kafka in a container, through testcontainers."""

    container: Any = None
    version: str = f"{IMAGE} (through testcontainers)"

    @property
    def bootstrap_servers(self) -> str:
        return str(self.container.get_bootstrap_server())

    def start(self) -> None:
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415  (only where Docker is)

        self.container = KafkaContainer(IMAGE).with_kraft()
        self.container.start()

    def stop(self) -> None:
        self.container.stop()

    def references(self) -> list[Any]:
        return []


def docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run([docker, "info"], check=False, capture_output=True, timeout=20)  # noqa: S603
    return asked.returncode == 0


def broker_for_tests(folder: Path) -> Kafka:
    """Choose: KAFKA_BOOTSTRAP_SERVERS, testcontainers, Apache Kafka through Maven, the mock."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return ExternalKafka(servers)
    if docker_answers():
        return ContainerKafka()
    if ApacheKafka.available():
        return ApacheKafka(folder / "kafka", folder / "kafka.log")
    return EmbeddedKafka(folder / "kafka.log", PARTITIONS)


def is_real(kafka: Kafka) -> bool:
    return not isinstance(kafka, EmbeddedKafka)
