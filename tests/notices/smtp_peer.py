"""A mail server of the tests: speaks enough SMTP over a real socket, and answers as it is told to."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """What arrived, and what is answered instead of yes: verb → line, for addresses or for all."""

    port: int = 0
    arrived: list[tuple[str, bytes]] = field(default_factory=list)
    refuses_address: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    #: Called with each mail before it is acknowledged.
    hangs_up_after_data: bool = False

    @property
    def addresses(self) -> list[str]:
        """Return to whom mails came, in their order."""
        return [address for address, _ in self.arrived]

    def message(self, number: int = -1) -> EmailMessage:
        """Return a mail that came, parsed."""
        found = message_from_bytes(self.arrived[number][1], policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


class _Dialogue(socketserver.StreamRequestHandler):
    peer: MailServer
    _to: str = ""

    def handle(self) -> None:
        self._say("220 peer")
        while line := self.rfile.readline():
            verb = line[:4].decode("ascii", "replace").upper().strip()
            if verb == "QUIT":
                self._say("221 bye")
                return
            if not self._answer(verb, line.decode("utf-8", "replace").strip()):
                return

    def _answer(self, verb: str, line: str) -> bool:
        if verb in self.peer.answers:
            self._say(self.peer.answers[verb])
        elif verb == "RCPT":
            self._to = line.partition("<")[2].partition(">")[0]
            self._say(self.peer.refuses_address.get(self._to, "250 ok"))
        elif verb == "DATA":
            return self._take()
        else:
            self._say("250 ok")
        return True

    def _take(self) -> bool:
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        self.peer.arrived.append((self._to, b"".join(lines)))
        if self.peer.hangs_up_after_data:
            return False
        self._say("250 taken")
        return True

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Run a mail server on a free port of the loopback address."""
    peer = MailServer()
    handler = type("Dialogue", (_Dialogue,), {"peer": peer})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        peer.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join(5)
