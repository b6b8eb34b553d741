"""Children are restarted, heard, stopped in order and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from governance.config.processes import Program, wait_until
from governance.config.supervisor import Supervisor

SLEEP = "import time; time.sleep(60)"
#: Says when it is asked to stop, so that the order can be seen.
POLITE = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    watching = Supervisor(tmp_path / "processes.json")
    yield watching
    watching.stop_all()


def _python(name: str, source: str, folder: Path, **options: float) -> Program:
    return Program(name, (sys.executable, "-c", source), folder, **options)  # type: ignore[arg-type]


def _turn_until(supervisor: Supervisor, ready: Callable[[], bool]) -> bool:
    def look() -> bool:
        supervisor.turn(0.02)
        return ready()

    return wait_until(look, timeout_seconds=10, interval_seconds=0)


def _pids(tmp_path: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((tmp_path / "processes.json").read_text())
    return found


def test_a_killed_child_is_started_again(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = supervisor.start(_python("worker", SLEEP, tmp_path))

    os.kill(first.pid, signal.SIGKILL)

    assert _turn_until(supervisor, lambda: _pids(tmp_path).get("worker") not in {None, first.pid})
    assert "worker was ended by SIGKILL; starting it again in 0.2 s" in capsys.readouterr().out


def test_a_child_that_keeps_failing_is_started_less_and_less_often(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.start(_python("worker", "raise SystemExit(3)", tmp_path))

    said: list[str] = []
    assert _turn_until(supervisor, lambda: bool(said.append(capsys.readouterr().out)) or "0.8 s" in "".join(said))
    assert [
        pause
        for pause in ("0.2 s", "0.4 s", "0.8 s")
        if f"ended with code 3; starting it again in {pause}" in "".join(said)
    ] == [
        "0.2 s",
        "0.4 s",
        "0.8 s",
    ]


def test_what_a_child_says_is_printed_behind_its_name(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = supervisor.run_to_end(_python("prepare", "print('one'); print('two', end='')", tmp_path))

    assert code == 0
    assert "prepare    | one\n" in capsys.readouterr().out


def test_children_stop_in_the_reverse_order_of_their_start(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("database", "worker", "web"):
        supervisor.start(
            _python(name, POLITE + "; print('here', flush=True); time.sleep(60)", tmp_path, patience_seconds=30)
        )
    heard: list[str] = []
    assert _turn_until(
        supervisor, lambda: bool(heard.append(capsys.readouterr().out)) or "".join(heard).count("here") == 3
    )

    supervisor.stop_all()

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if "bye" in line] == [
        "web",
        "worker",
        "database",
    ]
    assert not (tmp_path / "processes.json").exists()


def test_a_child_that_does_not_stop_is_killed(
    supervisor: Supervisor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = supervisor.start(_python("web", STUBBORN, tmp_path, patience_seconds=0.2))
    assert _turn_until(supervisor, lambda: "deaf" in capsys.readouterr().out)

    supervisor.stop_all()

    assert child.returncode == -signal.SIGKILL


def test_what_a_dead_child_had_started_is_killed_too(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    source = (
        "import subprocess, sys, pathlib, time\n"
        f"started = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(started.pid))\n"
        "time.sleep(60)"
    )
    child = supervisor.start(_python("web", source, tmp_path))
    assert _turn_until(supervisor, lambda: note.exists() and bool(note.read_text()))
    grandchild = int(note.read_text())

    os.kill(child.pid, signal.SIGKILL)

    assert _turn_until(supervisor, lambda: not _lives(grandchild))


def test_a_killed_supervisor_leaves_no_child(tmp_path: Path) -> None:
    source = (
        "import sys, pathlib\n"
        "from governance.config.processes import Program\n"
        "from governance.config.supervisor import Supervisor\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "supervisor = Supervisor(folder / 'processes.json')\n"
        f"supervisor.start(Program('web', (sys.executable, '-c', {SLEEP!r}), folder))\n"
        "while True: supervisor.turn(1)"
    )
    with subprocess.Popen([sys.executable, "-c", source], cwd=Path(__file__).parents[2]) as run:
        assert wait_until((tmp_path / "processes.json").exists, timeout_seconds=10)
        child = _pids(tmp_path)["web"]

        run.kill()

    assert wait_until(lambda: not _lives(child), timeout_seconds=5)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_waiting_gives_up_in_time() -> None:
    started_at = time.monotonic()

    assert not wait_until(bool, timeout_seconds=0.1)
    assert time.monotonic() - started_at < 1
