"""A whole Gatehouse, as `make run` starts it, in a folder of its own and on free ports of the loopback address."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

PROJECT = Path(__file__).resolve().parents[2]
#: From the start of the processes to /readyz, on a busy machine with two cores, demo organisation included.
START_SECONDS = 300


def free_port() -> int:
    """Return a port of the loopback address that nobody uses, with a free one after it (the demo's application)."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def wait_for(ready: Callable[[], object], *, seconds: float, what: str) -> object:
    """Ask until the answer is true and return it; fail with `what` when that takes longer than `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = ready()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"Waited {seconds} s in vain for {what}.")
        time.sleep(0.1)


@dataclass
class Stack:
    """One running Gatehouse."""

    data_dir: Path
    extra: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    output: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment its processes get."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in {"DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "MAKELEVEL"}
        }
        own = {"PORT": str(self.port), "DATA_DIR": str(self.data_dir), "WEB_WORKERS": "1", "WORKER_PROCESSES": "1"}
        return {**inherited, **own, **self.extra}

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "governance.config.run"],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        wait_for(self._is_up, seconds=START_SECONDS, what="a ready Gatehouse")

    def stop(self) -> int:
        """Stop everything cleanly and return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def pids(self) -> dict[str, int]:
        """Return the process id of every running child by name."""
        try:
            found: dict[str, int] = json.loads((self.data_dir / "run" / "processes.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    def kill(self, name: str) -> None:
        """End a child and all its own children with SIGKILL, and return once it is gone."""
        pid = self.pids()[name]
        os.killpg(os.getpgid(pid), signal.SIGKILL)
        wait_for(lambda: self.pids().get(name) != pid, seconds=10, what=f"the end of {name}")

    def manage(self, *arguments: str, said: str = "") -> str:
        """Run a management command beside the running processes and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self.environment,
            input=said,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def is_ready(self) -> bool:
        """Tell whether /readyz says that everything works."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "Gatehouse ended:\n" + "".join(self.output[-60:])
        return any("Ready after" in line for line in self.output)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output.append(line)
