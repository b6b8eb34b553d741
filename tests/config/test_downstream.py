"""The demo's downstream application, started as the supervisor does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from governance.config.processes import wait_until
from tests.journeys.stack import PROJECT, free_port


@pytest.mark.parametrize("token", ["-Tg_made-of-random-letters", "--port", "ordinary"])
def test_it_takes_whatever_token_chance_has_made(tmp_path: Path, token: str) -> None:
    """One random token in 64 begins with a dash."""
    port, file = free_port(), tmp_path / "token"
    file.write_text(token)
    command = [sys.executable, "-m", "governance.config.downstream", str(tmp_path / "state.json"), str(file)]
    process = subprocess.Popen([*command, "--port", str(port)], cwd=PROJECT, stderr=subprocess.DEVNULL)

    def asked(bearer: str) -> Callable[[], bool]:
        def answers() -> bool:
            with suppress(httpx.TransportError):
                headers = {"Authorization": f"Bearer {bearer}"}
                return httpx.get(f"http://127.0.0.1:{port}/v2/Users", headers=headers).is_success
            return False

        return answers

    try:
        assert wait_until(asked(token), timeout_seconds=20)
        assert not asked("another")()
    finally:
        process.terminate()
        process.wait(10)
