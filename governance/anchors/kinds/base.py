"""What a way has in common with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from django.conf import settings

from governance.ledger.queries import Head
from governance.provisioning.connectors.addresses import GuardedTransport

TIMEOUT_SECONDS = 20.0


class NotKept(Exception):
    """The head was not taken. `str(error)` is a sentence without secrets."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a way must be told. A secret is kept encrypted and never shown."""

    name: str
    label: str
    hint: str = ""
    is_secret: bool = False
    is_needed: bool = True
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """The head is kept elsewhere: what can be said about it, and the receipt, base64, when it can be checked."""

    said: Mapping[str, str]
    proof: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a head goes: what the anchor's page says, its secret, and a folder of its own on this machine."""

    settings: Mapping[str, str]
    secret: str
    folder: Path
    head: Head
    origin: str = field(default="")


def client() -> httpx.Client:
    """Return a client that reaches what connectors may reach, and follows no redirect."""
    transport = GuardedTransport(allows_loopback=not settings.ENVIRONMENT.is_production, max_connections=1)
    return httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS, follow_redirects=False)
