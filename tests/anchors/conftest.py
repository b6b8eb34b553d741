"""A log of some entries and the places that keep its heads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from django.conf import settings
from django.db import transaction

from governance.core.actor import Actor
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything
from tests.ledger.conftest import tamper

__all__ = ["tamper"]

ORIGIN = "anchors.test/ledger"
TESTING = Actor.system("test")


class Log:
    """A log that grows when told to."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer

    def grow(self, count: int = 1) -> None:
        with transaction.atomic():
            for number in range(count):
                record("ledger.tested", actor=TESTING, subjects=[Subject("test", str(number))])
        seal_everything(signer=self.signer)


@pytest.fixture
def log(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """A log with a head, and a data folder of its own."""
    environment = settings.ENVIRONMENT.model_copy(update={"data_dir": tmp_path / "data"})
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    grown = Log(Signer.generate(ORIGIN))
    grown.grow(5)
    return grown


Answer = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Run a server on loopback that answers by the function; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = answer(self, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = handle_one  # noqa: N815 - the names that http.server calls

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
