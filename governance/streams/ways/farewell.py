"""TLS whose end tells something: that the other side has read to our end, and not merely gone away.

`ssl.SSLSocket.unwrap` cannot: a fatal alert counts as a farewell for it (OpenSSL marks both as "shutdown received"),
and a server that refuses our certificate under TLS 1.3 sends one after we have sent everything. So the bytes are
carried here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from governance.streams.ways.base import NotArrived

Result = TypeVar("Result")
_CHUNK = 65_536


class Session:
    """One TLS session over a connected socket, whose time-out bounds each wait. Raises OSError and NotArrived."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._plain, self._in, self._out = plain, ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._carry(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        for place in range(0, len(data), _CHUNK):
            part = data[place : place + _CHUNK]
            self._carry(lambda part=part: self._tls.write(part))  # type: ignore[misc]

    def finish(self) -> None:
        """Say that nothing more comes, and wait until the other side says the same (`close_notify`)."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self._flush()
        else:
            raise NotArrived("It ended the session before we had sent everything.")
        while True:
            try:
                self._carry(lambda: self._tls.read(_CHUNK))
            except ssl.SSLZeroReturnError:
                return

    def _carry(self, work: Callable[[], Result]) -> Result:
        while True:
            try:
                return work()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            finally:
                self._flush()

    def _flush(self) -> None:
        if data := self._out.read():
            self._plain.sendall(data)

    def _fill(self) -> None:
        data = self._plain.recv(_CHUNK)
        if not data:
            raise NotArrived("It closed the connection without the farewell of TLS, so it may not have read all.")
        self._in.write(data)
