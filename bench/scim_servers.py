"""The servers of `scim.py`: ours and its peers, each started the same way, on loopback, with a database of its own.

Whoever runs on WSGI runs behind the web server of `make run` with its options: granian, one blocking thread, two
workers, but one worker for what keeps everything in its own memory.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from governance.config import embedded, programs
from governance.config.environment import Environment
from governance.config.processes import Program, spawn, stop, wait_until

BENCH = Path(__file__).resolve().parent
#: Installed from npm at the time of the run, and nowhere else. Not Express 5: it reads the query anew each time, which
#: loses what the routers of scimmy write into it.
NODE_PACKAGES = ("scimmy@1.3.5", "scimmy-routers@1.3.2", "express@4.22.1")
MEMBER_PATHS = "path"
MEMBER_VALUES = "values"


@dataclass
class Server:
    """A running server, what it can do, and what was made in it."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    is_durable: bool
    prefix: str = "/scim/v2"
    token: str = "bench"
    database: str = ""
    #: How a member is removed: named in the path (RFC 7644), or listed in the value.
    member_removal: str = MEMBER_PATHS
    cannot: frozenset[str] = frozenset()
    #: (id, number) of every user; the number tells the name. Those still active, in the order they joined.
    people: list[tuple[str, int]] = field(default_factory=list)
    active: deque[str] = field(default_factory=deque)

    def cpu_seconds(self) -> float:
        """Return the processor time the server's own processes have used so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self.processes())

    def memory_bytes(self) -> int:
        """Return the resident memory of its largest process."""
        return max(each.memory_info().rss for each in self.processes())

    def processes(self) -> list[psutil.Process]:
        """Return the server's processes."""
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]


class Rig:
    """Starts servers, and stops them and drops their databases at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stops: list[Callable[[], Any]] = []

    def close(self) -> None:
        """Stop everything."""
        while self._stops:
            self._stops.pop()()

    def ours(self, token: str) -> Server:
        """Start Gatehouse's web server, and the sequencer that seals its ledger meanwhile."""
        port = free_port()
        environment = Environment(data_dir=self.folder, port=port, web_workers=2)
        own = {"DATA_DIR": str(self.folder), "PORT": str(port)}
        self._start(programs.sequencer(), own)
        process = self._start(programs.web(environment), own)
        return self._answering(
            Server("gatehouse", port, process, is_durable=True, token=token, database=embedded.DATABASE_NAME)
        )

    def bare(self) -> Server:
        """Start the plain views."""
        process, port, database = self._site("bare", "peers.bare", workers=2)
        return self._answering(
            Server("bare", port, process, is_durable=True, database=database, member_removal=MEMBER_VALUES)
        )

    def stock(self) -> Server:
        """Start stock django-scim2, which filters by no external id."""
        process, port, database = self._site("stock", "peers.stock.site", workers=2)
        cannot = frozenset({"filter externalId"})
        return self._answering(
            Server(
                "stock", port, process, is_durable=True, database=database, member_removal=MEMBER_VALUES, cannot=cannot
            )
        )

    def memory(self) -> Server:
        """Start scim2-server's test server, which keeps everything in one process."""
        process, port, _ = self._site("memory", "peers.memory", workers=1, has_tables=False)
        return self._answering(Server("scim2-server", port, process, is_durable=False, prefix="/v2"))

    def scimmy(self) -> Server | None:
        """Install and start scimmy; None, with a sentence, where that cannot be."""
        folder = self.folder / "node"
        if not _installed_from_npm(folder):
            return None
        port = free_port()
        shutil.copy(BENCH / "peers" / "scimmy.mjs", folder)
        program = Program("scimmy", ("node", "scimmy.mjs", str(port)), folder, log=self.folder / "scimmy.log")
        return self._answering(
            Server("scimmy", port, self._start(program, {"NODE_ENV": "production"}), is_durable=False)
        )

    def _site(
        self, name: str, module: str, *, workers: int, has_tables: bool = True
    ) -> tuple[subprocess.Popen[bytes], int, str]:
        database, port = f"peer_{name}", free_port()
        own = {
            "PYTHONPATH": str(BENCH),
            "PEER_DATABASE": database,
            "PEER_DATABASE_HOST": str(embedded.socket_dir(self.folder)),
        }
        if has_tables:
            self._make_database(database)
            subprocess.run([sys.executable, "-m", module], check=True, cwd=BENCH, env={**os.environ, **own})
        like = programs.web(Environment(data_dir=self.folder, port=port, web_workers=workers))
        program = Program(name, (*like.command[:-1], f"{module}:application"), BENCH, log=self.folder / f"{name}.log")
        return self._start(program, own), port, database

    def _start(self, program: Program, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a program with these variables on top of the present ones."""
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            log = program.log or self.folder / f"{program.name}.log"
            process = spawn(Program(program.name, program.command, program.folder, log=log))
        finally:
            os.environ.clear()
            os.environ.update(before)
        self._stops.append(lambda: stop(process, program.stop_signal, patience_seconds=3))
        return process

    def _answering(self, server: Server) -> Server:
        if not wait_until(lambda: _is_open(server.port), timeout_seconds=60):
            sys.exit(f"{server.name} did not start; see {self.folder}.")
        return server

    def _make_database(self, name: str) -> None:
        url = embedded.database_url(self.folder, "postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def connect(folder: Path, database: str) -> psycopg.Connection[Any]:
    """Return a connection to a database of the run, each statement for itself."""
    return psycopg.connect(embedded.database_url(folder, database), autocommit=True)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as trial:
        trial.settimeout(1)
        return trial.connect_ex(("127.0.0.1", port)) == 0


def _installed_from_npm(folder: Path) -> bool:
    if not shutil.which("npm") or not shutil.which("node"):
        print("scimmy is left out: there is no Node here.")
        return False
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact", *NODE_PACKAGES]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if made.returncode:
        print("scimmy is left out: npm could not install it.")
    return made.returncode == 0
