"""Which network addresses a connector may reach: none of the machine's own, no metadata service (SSRF)."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore
import httpx

if TYPE_CHECKING:
    from httpcore import SOCKET_OPTION

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Metadata services that are not link-local: AWS over IPv6, Alibaba, Oracle, Azure's wire server.
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)


class AddressRefused(Exception):
    """The address is one that no connector may reach. `str(error)` is a sentence."""


def base_url_problem(base_url: str, *, requires_tls: bool) -> str | None:
    """Return what is wrong with a base URL, in one sentence, or None."""
    try:
        parts = urlsplit(base_url)
        has_odd_port = parts.port == 0
    except ValueError:
        return "This is not an address."
    if parts.scheme not in {"http", "https"} or not parts.hostname or has_odd_port:
        return "The address must start with https:// and name a host."
    if parts.username or parts.password or parts.query or parts.fragment:
        return "The address must not hold a user, a password, a question mark or a fragment."
    if any(character.isspace() or ord(character) < 32 for character in base_url):
        return "The address must not hold white space."
    if requires_tls and parts.scheme != "https":
        return "The address must start with https://, because the token travels with every request."
    return _literal_problem(parts.hostname, allows_loopback=not requires_tls)


def _literal_problem(host: str, *, allows_loopback: bool) -> str | None:
    """Return why an address written out as numbers may not be reached; names are checked at each connection."""
    try:
        return refusal(ipaddress.ip_address(host), allows_loopback=allows_loopback)
    except ValueError:
        return None


def refusal(address: Address, *, allows_loopback: bool) -> str | None:
    """Return why `address` may not be reached, or None when it may. Private networks are allowed."""
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.is_loopback:
        return None if allows_loopback else "The address is the machine Gatehouse runs on."
    if plain.is_link_local or plain in METADATA_ADDRESSES:
        return "The address is link-local or belongs to a metadata service."
    if plain.is_unspecified or plain.is_multicast or plain == ipaddress.ip_address("255.255.255.255"):
        return "The address is not one of a single host."
    return None


def checked_address(host: str, port: int, *, allows_loopback: bool) -> str:
    """Resolve `host` and return the address to connect to. Raises AddressRefused when any of its addresses is barred.

    The caller connects to exactly this address, so that a name cannot answer differently a moment later.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
    for address in addresses:
        reason = refusal(address, allows_loopback=allows_loopback)
        if reason:
            raise AddressRefused(reason)
    return str(addresses[0])


class GuardedBackend(httpcore.SyncBackend):
    """Connects only to addresses that `checked_address` lets through."""

    def __init__(self, *, allows_loopback: bool) -> None:
        super().__init__()
        self._allows_loopback = allows_loopback

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check, then connect to the checked address. TLS still checks the certificate for `host`."""
        try:
            address = checked_address(host, port, allows_loopback=self._allows_loopback)
        except OSError as error:
            raise httpcore.ConnectError(f"the name does not resolve: {error}") from error
        return super().connect_tcp(address, port, timeout, local_address, socket_options)


class GuardedTransport(httpx.HTTPTransport):
    """httpx's transport on a pool whose connections are guarded. Proxies of the environment are not used."""

    def __init__(self, *, allows_loopback: bool, max_connections: int) -> None:
        super().__init__(trust_env=False)
        # httpx has no public way to hand in a network backend; httpcore has (httpcore docs, "Network Backends").
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(allows_loopback=allows_loopback),
        )
