"""Real peers on the loopback: an HTTP listener, and a syslog server over TLS with certificates of its own authority."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.db import transaction

from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything
from tests.cast import TESTING

SIGNER = Signer.generate("example.com/ledger")


def seal() -> None:
    """Seal everything that was recorded."""
    seal_everything(signer=SIGNER)


@pytest.fixture
def grow(db: None) -> Callable[[int], None]:
    """Have the ledger grow by so many entries of a test."""

    def run(count: int) -> None:
        with transaction.atomic():
            for number in range(count):
                record("thing.noted", actor=TESTING, subjects=[Subject("thing", str(number))])
        seal()

    return run


@dataclass
class Listener:
    """What arrived, with its headers, and what is answered. `on_post` runs before the answer."""

    url: str = ""
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    on_post: Callable[[], None] = lambda: None

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Return the entries of everything that arrived, in the order of arrival."""
        return [one for _, body in self.arrived for one in json.loads(body).get("entries", [])]


@pytest.fixture
def listener() -> Iterator[Listener]:
    peer = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            peer.arrived.append(({name.lower(): value for name, value in self.headers.items()}, body))
            peer.on_post()
            self.send_response(peer.status)
            for name, value in peer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer.url = f"http://127.0.0.1:{server.server_address[1]}/collect"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield peer
        server.shutdown()


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """A certificate authority of the tests."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key, is_authority=True, host=None)
        self.pem = self._certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, host: str) -> Issued:
        """Return a certificate for an IP address or a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(subject, key, is_authority=False, host=host)
        said = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Issued(certificate.public_bytes(Encoding.PEM).decode(), said)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool, host: str | None
    ) -> x509.Certificate:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=20_000))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if host:
            try:
                named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
            except ValueError:
                named = x509.DNSName(host)
            made = made.add_extension(x509.SubjectAlternativeName([named]), critical=False)
        return made.sign(self._key, hashes.SHA256())


class SyslogPeer:
    """A syslog server over TLS (RFC 5425): keeps what it was sent, checks the framing, answers the farewell."""

    def __init__(self, folder: Path, server: Issued, *, clients: str = "") -> None:
        self.messages: list[str] = []
        self.clients: list[str] = []
        #: Messages after which the connection is cut with a reset, as by a machine that fails; None never.
        self.cuts_after: int | None = None
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        path = folder / "server.pem"
        path.write_text(f"{server.certificate}{server.key}")
        self._context.load_cert_chain(path)
        if clients:
            self._context.load_verify_locations(cadata=clients)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            try:
                self._take(plain)
            except (OSError, ssl.SSLError):
                plain.close()

    def _take(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        with self._context.wrap_socket(plain, server_side=True) as session:
            shown = session.getpeercert()
            self.clients.append(str(shown.get("subject")) if shown else "")
            buffer = b""
            while data := session.recv(65536):
                buffer += data
                while (cut := buffer.find(b" ")) > 0 and len(buffer) >= cut + 1 + int(buffer[:cut]):
                    length = int(buffer[:cut])
                    self.messages.append(buffer[cut + 1 : cut + 1 + length].decode())
                    buffer = buffer[cut + 1 + length :]
                    if self.cuts_after is not None and len(self.messages) >= self.cuts_after:
                        session.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        self.cuts_after = None
                        return
            assert buffer == b"", "half a message"
            session.unwrap()


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("Tests")


@pytest.fixture
def syslog_peer(tmp_path: Path, authority: Authority) -> Iterator[SyslogPeer]:
    peer = SyslogPeer(tmp_path, authority.issue("127.0.0.1"))
    yield peer
    peer.close()
