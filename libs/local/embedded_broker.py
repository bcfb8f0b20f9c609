"""librdkafka's mock cluster as a process, reached through the library in confluent-kafka's wheel.

It speaks Kafka's protocol over TCP and keeps everything in memory. Its creation of topics over the
wire ignores what we need, so it is given them at the start.
"""

import argparse
import ctypes
import signal
from pathlib import Path

import confluent_kafka

from libs.contracts import topics

_HANDLE = ctypes.c_void_p


def main() -> None:
    """Run the broker until it is told to end."""
    arguments = _arguments()
    cluster, library = _start_cluster()
    for topic in topics.ALL:
        count = topic.partitions or arguments.partitions
        library.rd_kafka_mock_topic_create(cluster, topic.name.encode(), count, 1)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 100)
    address = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
    # Written beside and moved, so that nobody reads half of it.
    part = arguments.address_file.with_suffix(".part")
    part.write_text(address)
    part.rename(arguments.address_file)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--address-file", type=Path, required=True)
    return parser.parse_args()


def _start_cluster() -> tuple[int, ctypes.CDLL]:
    library = _library()
    error = ctypes.create_string_buffer(512)
    client = library.rd_kafka_new(0, library.rd_kafka_conf_new(), error, len(error))
    return library.rd_kafka_mock_cluster_new(client, 1), library


def _library() -> ctypes.CDLL:
    wheel = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(wheel.glob("librdkafka*.so*"))))
    library.rd_kafka_conf_new.restype = _HANDLE
    library.rd_kafka_new.restype = _HANDLE
    library.rd_kafka_new.argtypes = [ctypes.c_int, _HANDLE, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = _HANDLE
    library.rd_kafka_mock_cluster_new.argtypes = [_HANDLE, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [_HANDLE]
    library.rd_kafka_mock_topic_create.argtypes = [
        _HANDLE, ctypes.c_char_p, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [_HANDLE, ctypes.c_int32]
    return library


if __name__ == "__main__":
    # Blocked before any thread of the library starts, so that the signal comes to us.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
