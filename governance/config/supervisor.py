"""Keeps child processes running, prints what they say behind their names, and stops them in order."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from governance.config.processes import Program, kill_group, spawn

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
#: A child that ran this long had a good start: the next failure waits the first pause again.
_STEADY_SECONDS = 30.0
_NAME_WIDTH = 10


class StopRequested(BaseException):
    """Somebody asked the supervisor to stop. Not an `Exception`, so that no handler takes it for a failure."""


def say(line: str, *, name: str = "gatehouse") -> None:
    """Print one line behind the name of the one who says it. A terminal that went away is no reason to fail."""
    with contextlib.suppress(OSError):
        print(f"{name:<{_NAME_WIDTH}} | {line}", flush=True)


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    #: When to start it again, on the monotonic clock, while it is down.
    due_at: float = 0.0
    #: Output after the last line break.
    rest: bytes = b""

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None


@dataclass(slots=True)
class Supervisor:
    """Starts, watches, restarts and stops children. Lives in one thread; call `turn` to let it work.

    `status_file` holds the process id of every running child by name, for scripts and tests.
    """

    status_file: Path
    _children: list[_Child] = field(default_factory=list)
    _outputs: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def start(self, program: Program) -> subprocess.Popen[bytes]:
        """Start `program` and keep it running from now on."""
        child = _Child(program)
        self._children.append(child)
        return self._launch(child)

    def run_to_end(self, program: Program) -> int:
        """Run `program` once, printing what it says, and return its exit code."""
        child = _Child(program)
        process = self._launch(child)
        try:
            while not child.has_ended():
                self.turn(0.1)
        finally:
            self._collect(child)
        return process.returncode

    def turn(self, seconds: float) -> None:
        """Print what the children say for about `seconds`, and start again those that died."""
        self._print(seconds)
        now = time.monotonic()
        for child in self._children:
            if child.process is None and now >= child.due_at:
                self._launch(child)
            elif child.process is not None and child.has_ended():
                self._bury(child, now)

    def stop_all(self) -> None:
        """Stop the children, last started first; kill each that outlives its patience. Nothing is left running."""
        for child in reversed(self._children):
            self._stop(child)
        self._children.clear()
        self.status_file.unlink(missing_ok=True)

    def _launch(self, child: _Child) -> subprocess.Popen[bytes]:
        process = child.process = spawn(child.program)
        child.started_at = time.monotonic()
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._outputs.register(process.stdout, selectors.EVENT_READ, child)
        self._write_status()
        return process

    def _bury(self, child: _Child, now: float) -> None:
        """Collect a child that died, with everything it started, and plan its next start."""
        if now - child.started_at > _STEADY_SECONDS:
            child.failures = 0
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(child.failures, 8), _LONGEST_PAUSE_SECONDS)
        child.failures += 1
        child.due_at = now + pause
        code = self._collect(child)
        self._write_status()
        say(f"{child.program.name} {_how_it_ended(code)}; starting it again in {pause:.1f} s")

    def _stop(self, child: _Child) -> None:
        if child.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            child.process.send_signal(child.program.stop_signal)
        end = time.monotonic() + child.program.patience_seconds
        while not child.has_ended() and time.monotonic() < end:
            self._print(0.02)
        if not child.has_ended():
            say(f"{child.program.name} did not stop in {child.program.patience_seconds:.0f} s and is killed")
        self._collect(child)

    def _collect(self, child: _Child) -> int:
        """Kill what is left of the child, print its last words, and return its exit code."""
        process, child.process = child.process, None
        assert process is not None
        kill_group(process)
        if process.stdout is not None:
            self._read(process.stdout.fileno(), child)
            self._outputs.unregister(process.stdout)
            process.stdout.close()
        return process.returncode

    def _print(self, seconds: float) -> None:
        if not self._outputs.get_map():
            time.sleep(seconds)
        for key, _ in self._outputs.select(timeout=seconds):
            self._read(key.fd, key.data)

    def _read(self, descriptor: int, child: _Child) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(descriptor, 65536):
                *lines, child.rest = (child.rest + chunk).split(b"\n")
                for line in filter(bytes.strip, lines):
                    say(line.decode(errors="replace").rstrip(), name=child.program.name)

    def _write_status(self) -> None:
        running = {child.program.name: child.process.pid for child in self._children if child.process}
        draft = self.status_file.with_suffix(".draft")
        draft.write_text(json.dumps({"gatehouse": os.getpid(), **running}, indent=2) + "\n")
        draft.replace(self.status_file)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
