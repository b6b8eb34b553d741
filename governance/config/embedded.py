"""The embedded default: a real PostgreSQL from the wheel and small secrets, kept under the data folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

DATABASE_NAME = "gatehouse"


def database_url(data_dir: Path) -> str:
    """Return the address of the embedded database, running or not."""
    socket_dir = data_dir / "postgres"
    return f"postgresql://postgres@/{DATABASE_NAME}?host={socket_dir}"


def kept_secret(data_dir: Path, name: str, make: Callable[[], str]) -> str:
    """Return the secret kept under `name`, made once. Two processes that start together agree on one."""
    path = data_dir / "keys" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(make())
    return path.read_text().strip()
