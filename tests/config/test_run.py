"""`make run` from outside: one running Gatehouse for all tests of this file, and what happens around it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg
import pytest

from governance.config.embedded import database_url
from governance.config.processes import wait_until
from governance.ledger.rights import RUNTIME, SEQUENCER

ROOT = Path(__file__).parents[2]
START_SECONDS = 100
NAMES = {"gatehouse", "database", "sequencer", "scheduler", "sweeper", "builder", "worker", "web"}

pytestmark = [pytest.mark.timeout(150), pytest.mark.xdist_group("run")]


@dataclass
class Running:
    """A `make run` in its own folder, without the demo."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.data_dir / "run" / "processes.json").read_text())
        return found

    def get(self, path: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def said(self) -> str:
        return self.output.read_text()


def _environment(data_dir: Path, port: int, **changes: str) -> dict[str, str]:
    ours = {"DATA_DIR": str(data_dir), "PORT": str(port), "DEMO": "0", "WEB_WORKERS": "1", "WORKER_PROCESSES": "1"}
    kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "CELERY_BROKER_URL"}}
    return kept | ours | changes


def _start(environment: dict[str, str], output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "governance.config.run"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


def _start_refused(environment: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "governance.config.run"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def _start_and_wait(data_dir: Path, port: int) -> Running:
    output = data_dir.parent / "output"
    with output.open("wb") as file:
        running = Running(data_dir, port, _start(_environment(data_dir, port), file), output)
    assert wait_until(
        lambda: "Ready after" in running.said() or running.process.poll() is not None, timeout_seconds=START_SECONDS
    )
    assert running.process.poll() is None, running.said()
    return running


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _alive(data_dir: Path) -> list[str]:
    """Return the command lines of what still runs for `data_dir`."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        try:
            ours = process.pid != os.getpid() and process.environ().get("DATA_DIR") == str(data_dir)
        except psutil.Error:
            continue
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"]))
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Gatehouse whose data folder has a path too long for a Unix socket."""
    data_dir = tmp_path_factory.mktemp("run") / ("long" * 25) / "var"
    data_dir.mkdir(parents=True)
    running = _start_and_wait(data_dir, _free_port())
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.wait()


def test_everything_runs_and_is_named(house: Running) -> None:
    assert set(house.pids()) == NAMES
    assert house.get("/healthz") == (200, b"ok\n")


def test_readiness_names_every_check(house: Running) -> None:
    assert wait_until(house.is_ready, timeout_seconds=20)

    status, body = house.get("/readyz")

    assert status == 200
    assert set(json.loads(body)["checks"]) == {
        "database",
        "migrations",
        "sealing",
        "sweep",
        "leaving",
        "notices",
        "anchors",
        "streams",
        "broker",
    }


def test_a_second_start_on_the_same_port_says_so_in_one_sentence(house: Running, tmp_path: Path) -> None:
    code, said = _start_refused(_environment(tmp_path, house.port))

    assert code == 1
    assert said == f"PORT {house.port} on 127.0.0.1 is in use by another process.\n"


def test_a_second_start_on_the_same_data_says_so_in_one_sentence(house: Running) -> None:
    code, said = _start_refused(_environment(house.data_dir, _free_port()))

    assert code == 1
    assert said == f"Gatehouse already runs on {house.data_dir} (process {house.process.pid}).\n"


def test_a_management_command_uses_the_running_database(house: Running) -> None:
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c"]
    asked = "SELECT pg_postmaster_start_time()::text"
    source = f"from django.db import connection as c; print(c.cursor().execute('{asked}').fetchone()[0])"
    environment = _environment(house.data_dir, house.port)

    done = subprocess.run([*command, source], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    with psycopg.connect(database_url(house.data_dir)) as database:
        assert (done.stdout.strip(),) == database.execute(asked).fetchone()
    assert psutil.pid_exists(house.pids()["database"])


def test_only_the_sequencer_can_seal_and_no_process_owns_the_tables(house: Running) -> None:
    assert wait_until(house.is_ready, timeout_seconds=20)

    with psycopg.connect(database_url(house.data_dir)) as database:
        ours = database.execute("SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name ~ '^gatehouse'")
        assert {user for (user,) in ours} == {RUNTIME, SEQUENCER}


def test_the_check_at_deploy_finds_no_right_too_many(house: Running) -> None:
    command = [sys.executable, "manage.py", "check", "--deploy", "--tag", "security"]

    done = subprocess.run(
        command, cwd=ROOT, env=_environment(house.data_dir, house.port), capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "ledger." not in done.stderr


@pytest.mark.parametrize("name", ["web", "worker", "builder", "scheduler", "sweeper", "sequencer", "database"])
def test_a_killed_process_comes_back(house: Running, name: str) -> None:
    before = house.pids()[name]

    os.kill(before, signal.SIGKILL)

    assert wait_until(lambda: house.pids().get(name, before) != before, timeout_seconds=15)
    assert f"{name} was ended by SIGKILL" in house.said()
    assert wait_until(house.is_ready, timeout_seconds=60)


def test_a_killed_gatehouse_leaves_nothing_running_and_starts_again(house: Running) -> None:
    house.process.kill()
    house.process.wait()
    assert wait_until(lambda: not _alive(house.data_dir), timeout_seconds=10), _alive(house.data_dir)
    # As after a crash of the machine: the lock names a process id that now belongs to somebody else.
    lock = house.data_dir / "postgres" / "postmaster.pid"
    if lock.exists():
        lock.write_text(lock.read_text().replace(lock.read_text().split()[0], str(os.getpid()), 1))

    again = _start_and_wait(house.data_dir, house.port)
    house.process = again.process

    assert again.is_ready()


def test_a_clean_stop_takes_everything_along(house: Running) -> None:
    children = [psutil.Process(pid) for name, pid in house.pids().items() if name != "gatehouse"]
    started_at = time.monotonic()

    house.process.send_signal(signal.SIGTERM)
    code = house.process.wait(timeout=15)

    assert code == 0
    assert time.monotonic() - started_at < 11
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert _alive(house.data_dir) == []
    assert "was killed" not in house.said()
    assert not (house.data_dir / "run" / "processes.json").exists()


def test_a_database_that_cannot_be_reached_is_said_in_one_sentence(tmp_path: Path) -> None:
    address = f"postgresql://ada:hidden-word@127.0.0.1:{_free_port()}/gatehouse"

    code, said = _start_refused(_environment(tmp_path, _free_port(), DATABASE_URL=address))

    assert code == 1
    assert said.startswith("The database of DATABASE_URL cannot be reached: ")
    assert said.count("\n") == 1
    assert "hidden-word" not in said
