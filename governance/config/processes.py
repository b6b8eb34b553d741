"""Child processes that never outlive the process that started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Program:
    """A child process: its `name` in every message, what to run, how it is asked to stop."""

    name: str
    command: tuple[str, ...]
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    #: How long it may take to stop before it is killed.
    patience_seconds: float = 1.0
    #: What the kernel sends it when the starting process dies without a word (Linux).
    orphan_signal: signal.Signals = signal.SIGKILL
    #: The system user to run as; None keeps the present one.
    user: str | None = None
    #: Called before each start.
    before: Callable[[], None] | None = None
    #: Where its output goes; None hands it to the supervisor, which prints it behind the name.
    log: Path | None = None


def end_with_parent(orphan_signal: signal.Signals, parent: int) -> None:
    """Ask the kernel to send this process `orphan_signal` when the process `parent`, which started it, ends.

    Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere it does nothing. A parent that is gone already ends it here.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), orphan_signal)


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start `program` in a process group of its own, so that Ctrl-C reaches it through us and in our order."""
    if program.before is not None:
        program.before()
    parent = os.getpid()
    output: IO[bytes] | int = program.log.open("ab") if program.log else subprocess.PIPE
    try:
        return subprocess.Popen(
            program.command,
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=program.user,
            group=program.user,
            extra_groups=[] if program.user else None,
            # Safe: whoever calls this starts children from one thread, and the callee only makes system calls.
            preexec_fn=lambda: end_with_parent(program.orphan_signal, parent),  # noqa: PLW1509
        )
    finally:
        if not isinstance(output, int):
            output.close()


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, *, patience_seconds: float) -> bool:
    """Ask the process to stop, then kill what is left of its group. Tell whether it stopped by itself in time."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=max(patience_seconds, 0.05))
    stopped = process.returncode is not None
    kill_group(process)
    return stopped


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and everything it started, and collect it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(ready: Callable[[], bool], *, timeout_seconds: float, interval_seconds: float = 0.05) -> bool:
    """Tell whether `ready()` came true in time."""
    end = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > end:
            return False
        time.sleep(interval_seconds)
    return True
