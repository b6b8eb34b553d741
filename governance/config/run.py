"""`make run`: everything Gatehouse is made of, on one machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from governance.config import postgres, programs
from governance.config.environment import PROJECT_DIR, Environment, read_environment
from governance.config.processes import end_with_parent
from governance.config.supervisor import StopRequested, Supervisor, say

#: After this the address is printed anyway, with what is not ready yet.
_READY_PATIENCE_SECONDS = 90.0


class CannotStart(Exception):
    """Gatehouse cannot start. `str(error)` is one sentence that says why."""


def main() -> int:
    """Run Gatehouse and return the exit code: 0 after a clean stop, 1 when it could not start."""
    if os.environ.get("MAKELEVEL"):
        end_with_parent(signal.SIGTERM, os.getppid())
    os.environ["GATEHOUSE_SUPERVISED"] = "1"
    environment = read_environment()
    try:
        with _data_dir_for_us(environment.data_dir):
            _need_free_port(environment.host, environment.port, "PORT")
            return _run(environment)
    except (CannotStart, postgres.DatabaseUnavailable) as error:
        print(error, file=sys.stderr)
        return 1


def _run(environment: Environment) -> int:
    supervisor = Supervisor(environment.data_dir / "run" / "processes.json")
    _listen_for_stop()
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(_stop, supervisor)
            started_at = time.monotonic()
            _start(environment, supervisor, stack)
            missing = _wait_until_ready(environment, supervisor)
            _greet(environment, missing, time.monotonic() - started_at)
            while True:
                supervisor.turn(0.2)
    except StopRequested:
        return 0


def _start(environment: Environment, supervisor: Supervisor, stack: contextlib.ExitStack) -> None:
    """Start everything, in the reverse of the order in which it is stopped."""
    if environment.uses_embedded_database:
        _start_database(environment, supervisor, stack)
    elif problem := postgres.what_is_wrong(environment.database):
        raise CannotStart(problem)
    prepare = programs.manage("prepare", "prepare", *(["--demo"] if environment.loads_demo else []))
    if supervisor.run_to_end(prepare):
        raise CannotStart("Gatehouse could not prepare its database; the lines above say why.")
    if environment.loads_demo:
        _need_free_port("127.0.0.1", environment.downstream_port, "The port of the demo's SCIM application")
        _ = environment.downstream_token  # made now, if it never was
        supervisor.start(programs.downstream(environment))
    supervisor.start(programs.sequencer())
    supervisor.start(programs.scheduler())
    supervisor.start(programs.sweeper())
    supervisor.start(programs.builder(environment))
    supervisor.start(programs.worker(environment))
    supervisor.start(programs.web(environment))


def _start_database(environment: Environment, supervisor: Supervisor, stack: contextlib.ExitStack) -> None:
    data_dir = environment.data_dir
    if not stack.enter_context(postgres.owning(data_dir, wait=False)):
        say("Waiting for another Gatehouse command to finish with the database")
        stack.enter_context(postgres.owning(data_dir, wait=True))
    server = supervisor.start(postgres.program(data_dir))
    postgres.wait_for_start(data_dir, server)
    # Stopped while the right to run it is still held.
    stack.callback(_stop, supervisor)


def _stop(supervisor: Supervisor) -> None:
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.SIG_IGN)
    supervisor.stop_all()


def _listen_for_stop() -> None:
    def request_stop(number: int, frame: FrameType | None) -> None:
        say("Stopping")
        raise StopRequested

    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, request_stop)


@contextlib.contextmanager
def _data_dir_for_us(data_dir: Path) -> Iterator[None]:
    """Hold the data folder against a second `make run`. Raises CannotStart when one has it."""
    folder = data_dir / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "gatehouse.lock").open("a+")
    except OSError as error:
        raise CannotStart(f"DATA_DIR cannot be used: {error.strerror}: {error.filename}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise CannotStart(f"Gatehouse already runs on {data_dir} (process {file.read().strip()}).") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _need_free_port(host: str, port: int, name: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
            trial.listen(1)
        except OSError as error:
            busy = error.errno == errno.EADDRINUSE
            said = "is in use by another process" if busy else f"cannot be used: {error.strerror}"
            raise CannotStart(f"{name} {port} on {host} {said}.") from error


def _wait_until_ready(environment: Environment, supervisor: Supervisor) -> list[str]:
    """Return what is still not ready when patience ends; empty when everything is."""
    end = time.monotonic() + _READY_PATIENCE_SECONDS
    missing = ["Nothing has answered yet."]
    while missing and time.monotonic() < end:
        supervisor.turn(0.1)
        missing = _what_is_missing(environment)
    return missing


def _what_is_missing(environment: Environment) -> list[str]:
    """Return what /readyz says is not ready; empty when everything is."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(environment.host, environment.host)  # noqa: S104
    asked = http.client.HTTPConnection(local, environment.port, timeout=2)
    try:
        asked.request("GET", "/readyz", headers={"Host": _allowed_host(environment), "X-Forwarded-Proto": "https"})
        answer: dict[str, Any] = json.loads(asked.getresponse().read())
        checks: dict[str, Any] = answer["checks"]
    except (OSError, ValueError, http.client.HTTPException):
        return ["The web server does not answer yet."]
    except KeyError:
        return ["The web server answers with an error."]  # Under load, for instance: no check was made.
    finally:
        asked.close()
    return [check["sentence"] for check in checks.values() if not check["ok"]]


def _allowed_host(environment: Environment) -> str:
    first = environment.allowed_hosts.partition(",")[0].strip()
    return "localhost" if first in {"", "*"} else first.lstrip(".")


def _greet(environment: Environment, missing: list[str], seconds: float) -> None:
    if missing:
        say(f"Still not ready after {seconds:.0f} s: {' '.join(missing)} It goes on trying.")
    say(f"Ready after {seconds:.1f} s: {environment.public_url}" if not missing else environment.public_url)
    if environment.loads_demo:
        command = programs.manage("sign-ins", "load_demo", "--sign-ins").command
        shown = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT_DIR)
        for line in shown.stdout.splitlines():
            say(line)
    say("Stop with Ctrl-C.")


if __name__ == "__main__":
    sys.exit(main())
