"""`python -m libs.local up | down | demo`: what `make up`, `make down` and `make demo` call."""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from libs.local.children import DidNotStart, ProcessRef
from libs.local.demo import demo
from libs.local.kafka import ROOT
from libs.local.stack import Stack, stack_from_environment

RUN = ROOT / ".run"


def main() -> int:
    """Do what the command line says; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m libs.local", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "demo"))
    verbs: dict[str, Callable[[], int]] = {"up": up, "down": down, "demo": demo}
    try:
        return verbs[parser.parse_args().verb]()
    except (DidNotStart, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def up(folder: Path = RUN) -> int:
    """Start the stack in the background, unless it runs already."""
    if any(reference.find() for reference in _references(folder)):
        _say("The stack is up already; `make down` stops it.")
        return 0
    _forget(folder)
    stack = stack_from_environment(folder)
    stack.start()
    (folder / "processes.json").write_text(json.dumps([asdict(one) for one in stack.references()]))
    lines = [f"export {name}={value}\n" for name, value in stack.exported().items()]
    (folder / "env").write_text("".join(lines))
    _show(stack)
    return 0


def down(folder: Path = RUN) -> int:
    """Stop every process of the stack and forget its data."""
    for reference in _references(folder):
        reference.stop()
    _forget(folder)
    _say("The stack is down.")
    return 0


def _references(folder: Path) -> list[ProcessRef]:
    listed = folder / "processes.json"
    return [ProcessRef(**one) for one in json.loads(listed.read_text())] if listed.exists() else []


def _forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _show(stack: Stack) -> None:
    kafka = stack.kafka.version if stack.kafka else ""
    _say(f"""\
Millrace is up: {kafka}, {stack.postgres.version}.
  API        {stack.url}  (documentation at {stack.url}/docs)
  mails      {stack.mail_sink_url}
  logs       {stack.logs.relative_to(ROOT)}/
  variables  . {(stack.folder / "env").relative_to(ROOT)}
  stop       make down""")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
