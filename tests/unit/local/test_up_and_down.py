import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from libs.local.__main__ import down, status, up, write_env
from libs.local.children import Child, DidNotStart, ProcessRef
from tests.support.waiting import wait_until

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child("sleeper", SLEEPS, {}, tmp_path / "logs" / "sleeper.log")
    child.start()
    yield child
    child.kill()


def record(folder: Path, *references: ProcessRef) -> None:
    (folder / "processes.json").write_text(json.dumps([asdict(one) for one in references]))


def an_ended_process() -> ProcessRef:
    process = subprocess.Popen(SLEEPS)  # noqa: S603
    reference = ProcessRef.of("ended", process.pid)
    process.kill()
    process.wait()
    return reference


def test_a_shell_reads_the_variables_back(tmp_path: Path) -> None:
    write_env(tmp_path / "env", {"MILLRACE_URL": "http://x:1", "ODD": "a b;$c'd"})
    command = ["/bin/sh", "-c", '. "$0" && printf "%s|%s" "$MILLRACE_URL" "$ODD"', "./env"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)  # noqa: S603
    assert said.stdout == "http://x:1|a b;$c'd"


def test_up_twice_changes_nothing(
    tmp_path: Path, child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, child.reference())
    assert up(tmp_path) == 0
    assert "up already" in capsys.readouterr().out


def test_up_says_which_process_of_a_running_stack_has_ended(
    tmp_path: Path, child: Child, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, child.reference(), an_ended_process())
    assert up(tmp_path) == 1
    assert "but ended ended" in capsys.readouterr().out
    assert status(tmp_path) == 1


def test_down_stops_what_was_recorded_and_keeps_the_logs(tmp_path: Path, child: Child) -> None:
    record(tmp_path, child.reference(), an_ended_process())
    (tmp_path / "data").mkdir()
    (tmp_path / "env").touch()
    assert status(tmp_path) == 1
    assert down(tmp_path) == 0
    assert child.reference().find() is None
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    assert status(tmp_path) == 1


def test_down_leaves_a_stranger_with_a_known_pid_alone(tmp_path: Path, child: Child) -> None:
    recorded = child.reference()
    record(tmp_path, ProcessRef("sleeper", recorded.pid, recorded.started - 60))
    down(tmp_path)
    assert recorded.find() is not None


def test_a_process_that_ends_instead_of_getting_ready_shows_its_log(tmp_path: Path) -> None:
    says = [sys.executable, "-c", "import sys; sys.exit('no database')"]
    child = Child("api", says, {}, tmp_path / "api.log")
    child.start()
    with pytest.raises(DidNotStart, match="api ended with 1\nno database"):
        child.wait_until(lambda: False)


def test_a_process_that_is_not_ready_in_time_is_reported(child: Child) -> None:
    with pytest.raises(DidNotStart, match="not ready in 0 s"):
        child.wait_until(lambda: False, seconds=0)


def test_a_killed_child_starts_again_with_more_variables(tmp_path: Path) -> None:
    program = "import os, time; print(os.environ.get('CRASH'), flush=True); time.sleep(600)"
    child = Child("child", [sys.executable, "-c", program], {}, tmp_path / "log")
    child.start()
    wait_until(lambda: child.tail() == "None", "it has spoken")
    child.kill()
    child.start({"CRASH": "here"})
    wait_until(lambda: child.tail() == "None\nhere", "it has spoken again")
    child.stop()
    assert child.running.returncode is not None


def test_a_child_that_is_started_while_it_runs_replaces_the_running_one(child: Child) -> None:
    first = child.reference()
    child.start()
    assert first.find() is None
    assert child.reference().find() is not None
