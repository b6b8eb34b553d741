"""The embedded default: where the PostgreSQL of the wheel lives, and small secrets, all under the data folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

DATABASE_NAME = "gatehouse"
SUPERUSER = "postgres"

#: The longest path of a Unix socket is 107 bytes on Linux and 103 on macOS; PostgreSQL adds a temporary suffix.
_LONGEST_SOCKET_FOLDER = 100 - len("/.s.PGSQL.5432.lock")


def postgres_dir(data_dir: Path) -> Path:
    """Return the folder of the embedded database."""
    return data_dir / "postgres"


def socket_dir(data_dir: Path) -> Path:
    """Return the folder of the database's Unix socket: the database's own, or a short one when that is too long."""
    folder = postgres_dir(data_dir)
    if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"gatehouse-{digest}"


def database_url(data_dir: Path, name: str = DATABASE_NAME, *, user: str = SUPERUSER) -> str:
    """Return the address of the embedded database, running or not."""
    return f"postgresql://{user}@/{name}?host={quote(str(socket_dir(data_dir)), safe='')}"


def kept_secret(data_dir: Path, name: str, make: Callable[[], str]) -> str:
    """Return the secret kept under `name`, made once. Two processes that start together agree on one."""
    path = data_dir / "keys" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _write_once(path, make())
    return path.read_text().strip()


def _write_once(path: Path, text: str) -> None:
    """Write the whole file or, when another process was faster, nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
