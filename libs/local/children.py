"""Child processes: started apart from us, known by their pid, ended by it and by nothing else."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

READY_SECONDS = 90.0
_GRACE_SECONDS = 30.0
_TAIL_LINES = 30


class DidNotStart(Exception):  # noqa: N818  (a fact; the message has the end of the log)
    """A process ended, or was not ready in time."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process that another run of this program can find again, and be sure it is the same."""

    name: str
    pid: int
    started: float
    stop_signal: int = signal.SIGTERM

    @classmethod
    def of(cls, name: str, pid: int, stop_signal: int = signal.SIGTERM) -> "ProcessRef":
        """Refer to a running process."""
        return cls(name, pid, psutil.Process(pid).create_time(), stop_signal)

    def find(self) -> psutil.Process | None:
        """Give the process, if it still runs and is the one that was meant."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            ended = process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same and not ended else None

    def stop(self) -> None:
        """Ask it to end; kill it if it does not within the grace period."""
        process = self.find()
        if process is None:
            return
        process.send_signal(self.stop_signal)
        if not self._is_gone_within(_GRACE_SECONDS):
            process.kill()
            self._is_gone_within(_GRACE_SECONDS)

    def _is_gone_within(self, seconds: float) -> bool:
        # Not psutil's wait: it waits for the name too, and in a container without an init that
        # cleans up, an ended process keeps its name for ever.
        deadline = time.monotonic() + seconds
        while self.find() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@dataclass
class Child:
    """A program of ours: how it is started, and the process it is while it runs.

    Attributes:
        name: What it is called in logs.
        command: What is run.
        env: The environment it gets, nothing else.
        log: The file its output is added to.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self, extra_env: Mapping[str, str] | None = None) -> None:
        """Start it in a session of its own, so that it outlives the shell; if it runs, anew."""
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  (our own command)
                list(self.command),
                env={**self.env, **(extra_env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def running(self) -> "subprocess.Popen[bytes]":
        """The process.

        Raises:
            DidNotStart: If it was never started.
        """
        if self.process is None:
            raise DidNotStart(f"{self.name} was not started")
        return self.process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.running.pid

    def reference(self) -> ProcessRef:
        """Refer to it, for another run of this program."""
        return ProcessRef.of(self.name, self.pid)

    def terminate(self) -> int:
        """Ask it to end (SIGTERM) and wait; give its exit code."""
        self.running.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once (kill -9)."""
        self.running.kill()
        self.running.wait()

    def wait(self, seconds: float = _GRACE_SECONDS) -> int:
        """Wait for its end, and kill it if that takes too long; give its exit code."""
        try:
            return self.running.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.running.wait()

    def stop(self) -> None:
        """End it if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.terminate()

    def wait_until(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Wait until something holds.

        Raises:
            DidNotStart: If the process ends first, or it takes too long.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.running.poll() is not None:
                raise DidNotStart(
                    f"{self.name} ended with {self.running.returncode}\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise DidNotStart(f"{self.name} was not ready in {seconds:.0f} s\n{self.tail()}")
            time.sleep(0.05)

    def tail(self) -> str:
        """Give the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_TAIL_LINES:])


def answers(url: str) -> bool:
    """Say whether a GET of an address answers 200."""
    try:
        return httpx.get(url, timeout=10).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def inherited_env() -> dict[str, str]:
    """Give what a child needs of our environment: the search path and the home, not settings."""
    names = ("PATH", "HOME", "LANG", "JAVA_HOME", "TMPDIR")
    return {name: os.environ[name] for name in names if name in os.environ}
