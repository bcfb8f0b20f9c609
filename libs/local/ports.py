"""Free ports on this machine."""

import socket

HOST = "127.0.0.1"


def free_port(usual: int | None = None) -> int:
    """Give the usual port if nobody has it, else any free one."""
    if usual is not None and _is_free(usual):
        return usual
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
