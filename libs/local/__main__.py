"""`python -m libs.local up | down | status | demo`: what `make up`, `down`, `demo` call."""

import argparse
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from libs.local.children import DidNotStart, ProcessRef
from libs.local.demo import demo
from libs.local.kafka import ROOT
from libs.local.stack import Stack, stack_from_environment

RUN = ROOT / ".run"
_FAILURES = (DidNotStart, ValueError, OSError, subprocess.CalledProcessError)


def main() -> int:
    """Do what the command line says; give the exit code."""
    # Told to end while starting, it must stop what it has started: an exception does that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="python -m libs.local", description=__doc__)
    verbs: dict[str, Callable[[], int]] = {"up": up, "down": down, "status": status, "demo": demo}
    parser.add_argument("verb", choices=verbs)
    try:
        return verbs[parser.parse_args().verb]()
    except _FAILURES as error:
        sys.stderr.write(f"{error}\n")
        return 1


def up(folder: Path = RUN) -> int:
    """Start the stack in the background, unless it runs already."""
    alive, ended = _alive_and_ended(folder)
    if alive and ended:
        _say(f"The stack is up, but {_names(ended)} ended. `make down` stops the rest.")
        return 1
    if alive:
        _say("The stack is up already; `make down` stops it.")
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    stack = stack_from_environment(folder)
    stack.start()
    (folder / "processes.json").write_text(json.dumps([asdict(one) for one in stack.references()]))
    write_env(folder / "env", stack.exported())
    _show(stack)
    return 0


def down(folder: Path = RUN) -> int:
    """Stop every process of the stack and forget its data; the logs stay until the next `up`."""
    for reference in _references(folder):
        reference.stop()
    shutil.rmtree(folder / "data", ignore_errors=True)
    for name in ("env", "processes.json"):
        (folder / name).unlink(missing_ok=True)
    _say("The stack is down.")
    return 0


def status(folder: Path = RUN) -> int:
    """Say what runs; 0 only if all of it does."""
    alive, ended = _alive_and_ended(folder)
    for reference in alive:
        _say(f"{reference.name:<16} runs, pid {reference.pid}")
    for reference in ended:
        _say(f"{reference.name:<16} ended; see {folder.name}/logs/")
    if not alive:
        _say("The stack is down.")
    return 0 if alive and not ended else 1


def write_env(path: Path, variables: dict[str, str]) -> None:
    """Write variables for a shell to read with `. path`."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    path.write_text("".join(lines))


def _references(folder: Path) -> list[ProcessRef]:
    listed = folder / "processes.json"
    return [ProcessRef(**one) for one in json.loads(listed.read_text())] if listed.exists() else []


def _alive_and_ended(folder: Path) -> tuple[list[ProcessRef], list[ProcessRef]]:
    alive: list[ProcessRef] = []
    ended: list[ProcessRef] = []
    for reference in _references(folder):
        (alive if reference.find() else ended).append(reference)
    return alive, ended


def _names(references: list[ProcessRef]) -> str:
    return ", ".join(reference.name for reference in references)


def _show(stack: Stack) -> None:
    kafka = stack.kafka.version if stack.kafka else ""
    _say(f"""\
Millrace is up: {kafka}, {stack.postgres.version}.
  API        {stack.url}  (documentation at {stack.url}/docs)
  API key    {stack.api_key}
  mails      {stack.mail_sink_url}
  logs       {stack.logs.relative_to(ROOT)}/
  variables  . {(stack.folder / "env").relative_to(ROOT)}
  stop       make down""")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
