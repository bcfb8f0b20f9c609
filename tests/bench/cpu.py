"""What processes have cost so far, read from /proc: no sampling, no percentages."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _UTIME, _STIME, _CUTIME, _CSTIME = 1, 11, 12, 13, 14
"""Where these stand in /proc/<pid>/stat, counted behind the name in parentheses."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds by name of a process, those of the bench itself, and how long it took."""

    cpu: Mapping[str, float]
    own_cpu: float
    seconds: float


class Meter:
    """Measures from when it is made. A process counts with its children, ended ones as well.

    PostgreSQL is a parent and many children: those that end are added to the parent's own account.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._before = self._read()
        self._own_before = time.process_time()
        self._began = time.monotonic()

    def cost(self) -> Cost:
        """Say what everything cost since the beginning."""
        seconds, own = time.monotonic() - self._began, time.process_time() - self._own_before
        now = self._read()
        return Cost({name: now[name] - self._before[name] for name in now}, own, seconds)

    def _read(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._processes.items()}


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process and its children, the ended ones and those that live."""
    living = sum(_sum(stat, _UTIME, _STIME) for stat in _children(pid))
    return (living + _sum(_stat(pid), _UTIME, _STIME, _CUTIME, _CSTIME)) / _TICKS


def resident_megabytes(pid: int) -> float:
    """Give how much memory a process has in use."""
    pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _children(pid: int) -> Iterator[list[str]]:
    for found in _PROC.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            stat = _stat(int(found.name))
            if int(stat[_PARENT]) == pid:
                yield stat


def _stat(pid: int) -> list[str]:
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _sum(stat: list[str], *places: int) -> int:
    return sum(int(stat[place]) for place in places)
