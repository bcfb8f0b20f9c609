"""Free ports on this machine."""

import secrets
import socket

HOST = "127.0.0.1"
_RANGE = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections: one of those could take the port of a
server while it is being restarted."""


def free_port(usual: int | None = None) -> int:
    """Give the usual port if nobody has it, else any free one."""
    if usual is not None and _is_free(usual):
        return usual
    return next(port for port in iter(lambda: secrets.choice(_RANGE), None) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
