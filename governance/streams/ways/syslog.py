"""Messages of RFC 5424 over TLS, each with its length before it (RFC 5425).

Syslog has no receipt. What comes closest: after a batch we end the TLS session and wait until the other side ends it
too, which it does after it has read to the end. Without that the batch counts as not arrived, and is sent again.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from governance.provisioning.connectors.addresses import AddressRefused, checked_address
from governance.streams.ways.base import NotArrived, Place
from governance.streams.ways.farewell import Session

TIMEOUT_SECONDS = 10.0
DEFAULT_PORT = 6514
#: "log audit" (RFC 5424 §6.2.1).
_FACILITY = 13
_LONGEST_MSGID = 32


def target(address: str) -> tuple[str, int]:
    """Return host and port of `host`, `host:port` or `[IPv6]:port`. Raises ValueError."""
    parts = urlsplit(f"//{address}")
    if not parts.hostname or parts.path or parts.query or parts.fragment or parts.username or " " in address:
        raise ValueError("Write it as host:port, for instance siem.example.com:6514.")
    return parts.hostname, parts.port or DEFAULT_PORT


def message(text: str, *, severity: int, at: datetime, host: str, kind: str) -> bytes:
    """Return one message of RFC 5424. `text` is JSON in UTF-8, without a byte order mark (MSG-ANY)."""
    instant = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"<{_FACILITY * 8 + severity}>1 {instant} {host} gatehouse - {kind[:_LONGEST_MSGID]} - {text}".encode()


def frames(messages: Sequence[bytes]) -> bytes:
    """Return messages with their lengths before them (RFC 5425 §4.3)."""
    return b"".join(b"%d %s" % (len(one), one) for one in messages)


def deliver(place: Place, messages: Sequence[bytes]) -> None:
    """Send messages over one session, and wait until the other side has read them. Raises NotArrived."""
    try:
        host, port = target(place.address)
        address = checked_address(host, port, allows_loopback=place.allows_loopback)
        with socket.create_connection((address, port), timeout=TIMEOUT_SECONDS) as plain:
            session = Session(plain, _context(place), host)
            session.send(frames(messages))
            session.finish()
    except AddressRefused as refused:
        raise NotArrived(str(refused)) from refused
    except ssl.SSLCertVerificationError as error:
        raise NotArrived(f"Its certificate is not trusted: {error.verify_message}.") from error
    except TimeoutError as error:
        raise NotArrived("It did not answer in time, or did not end the session after the last message.") from error
    except (OSError, ValueError) as error:
        raise NotArrived(f"It could not be reached: {str(error) or type(error).__name__}") from error


def _context(place: Place) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=place.authorities or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if place.client_certificate:
        with _certificate_file(place) as path:
            context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _certificate_file(place: Place) -> Iterator[Path]:
    """Hold certificate and key in a file that only we can read, because ssl takes them from nowhere else."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{place.client_certificate}\n{place.secret}\n")
        file.flush()
        yield Path(file.name)


def certificate_problem(certificate: str, key: str) -> str | None:
    """Return why certificate and key cannot be shown to a server, or None."""
    try:
        _context(Place("", key, "", certificate))
    except (ssl.SSLError, OSError, ValueError):
        return "Certificate and key do not belong together, or are not PEM."
    return None


def authorities_problem(authorities: str) -> str | None:
    """Return why no server can be checked against these, or None."""
    try:
        if authorities:
            ssl.create_default_context(cadata=authorities)
    except (ssl.SSLError, ValueError):
        return "These are no certificates in PEM."
    return None
