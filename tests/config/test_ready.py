"""What `make run` makes of the answers of /readyz while it starts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from governance.config.run import _what_is_missing


@contextmanager
def answering(status: int, body: bytes) -> Iterator[SimpleNamespace]:
    """Return the environment of a web server that always answers this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield SimpleNamespace(host="127.0.0.1", port=server.server_port, allowed_hosts="*")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "missing"),
    [
        pytest.param(200, b'{"checks": {"broker": {"ok": true, "sentence": "Fine."}}}', [], id="ready"),
        pytest.param(503, b'{"checks": {"broker": {"ok": false, "sentence": "Gone."}}}', ["Gone."], id="a check fails"),
        pytest.param(503, b'{"title": "Busy"}', ["The web server answers with an error."], id="an error document"),
        pytest.param(502, b"<html>", ["The web server does not answer yet."], id="no document"),
    ],
)
def test_an_answer_that_is_no_report_is_waited_over(status: int, body: bytes, missing: list[str]) -> None:
    with answering(status, body) as environment:
        assert _what_is_missing(environment) == missing  # type: ignore[arg-type]
