"""The processes Gatehouse is made of: for each, what it runs and how long it may take to stop."""

from __future__ import annotations

import sys
from pathlib import Path

from governance.config.environment import PROJECT_DIR, Environment
from governance.config.processes import Program

_BIN = Path(sys.executable).parent


def manage(name: str, *arguments: str, patience_seconds: float = 1.0) -> Program:
    """Return a management command as the program called `name`."""
    command = (sys.executable, str(PROJECT_DIR / "manage.py"), *arguments)
    return Program(name, command, PROJECT_DIR, patience_seconds=patience_seconds)


def web(environment: Environment) -> Program:
    """Return the web server: WSGI, one request at a time in each worker process (docs/operations.md says why)."""
    options = (
        "--interface",
        "wsgi",
        "--no-ws",
        "--blocking-threads",
        "1",
        "--respawn-failed-workers",
        "--respawn-interval",
        "0.5",
    )
    place = ("--host", environment.host, "--port", str(environment.port), "--workers", str(environment.web_workers))
    command = (str(_BIN / "granian"), *options, *place, "--log-level", "warning", "governance.config.wsgi:application")
    return Program("web", command, PROJECT_DIR, patience_seconds=2.5)


def worker(environment: Environment) -> Program:
    """Return the Celery worker: delivers to the applications, reads back, orders ended access away."""
    return _worker("worker", environment.celery_queue, environment.worker_processes, patience_seconds=2.0)


def builder(environment: Environment) -> Program:
    """Return the Celery worker for what takes minutes: it builds evidence bundles, one at a time."""
    return _worker("builder", environment.long_queue, 1, patience_seconds=1.0)


def _worker(name: str, queue: str, processes: int, *, patience_seconds: float) -> Program:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
    own = ("--queues", queue, "--concurrency", str(processes), "--hostname", f"{name}@%h")
    return Program(name, (*_celery(), "worker", *quiet, *own), PROJECT_DIR, patience_seconds=patience_seconds)


def scheduler() -> Program:
    """Return the Celery beat process: the clock. Run one; a second one only doubles the ticks."""
    return Program("scheduler", (*_celery(), "beat", "--pidfile=", "--loglevel", "WARNING"), PROJECT_DIR)


def sweeper() -> Program:
    """Return the process that orders starts and ends at the instant they are due. A second one helps."""
    return manage("sweeper", "sweeper", "--skip-checks")


def sequencer() -> Program:
    """Return the process that seals the ledger and alone reads its signing key."""
    return manage("sequencer", "ledger_sequencer", "--skip-checks")


def downstream(environment: Environment) -> Program:
    """Return the real SCIM application of the demo: the test server of the scim2-server package."""
    keys, folder = environment.data_dir / "keys", environment.data_dir / "run"
    command = (sys.executable, "-m", "governance.config.downstream")
    files = (str(environment.data_dir / "downstream.json"), str(keys / "downstream_token"))
    place = ("--port", str(environment.downstream_port))
    return Program(
        "downstream", (*command, *files, *place), PROJECT_DIR, patience_seconds=0.5, log=folder / "downstream.log"
    )


def _celery() -> tuple[str, ...]:
    return (str(_BIN / "celery"), "--quiet", "--skip-checks", "--app", "governance.config.celery")
