"""What Halden Health works with, as `software.toml` says it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "software.toml"
#: The house's own application: the one that is really connected.
RELAY = "relay"


@dataclass(frozen=True, slots=True)
class Role:
    """A role of an application, and how much it is asked for: see the head of the file."""

    slug: str
    name: str
    sentence: str
    risk: int
    policy: str
    by: tuple[str, ...] = ()
    standing: int = 0
    temporary: int = 0
    data: tuple[str, ...] = ()
    kind: str = "group"
    privileged: bool = False
    requestable: bool = True


@dataclass(frozen=True, slots=True)
class App:
    """An application with its owners and roles. Name, description and category replace what the catalogue says."""

    id: str
    owners: tuple[str, ...]
    risk: int
    minutes: int
    roles: tuple[Role, ...]
    data: tuple[str, ...] = ()
    by_hand: bool = False
    name: str = ""
    description: str = ""
    category: str = ""

    @property
    def is_relay(self) -> bool:
        """Tell whether this is the application that is really connected."""
        return self.id == RELAY


@cache
def applications() -> tuple[App, ...]:
    """Return every application, in the order of the file."""
    with FILE.open("rb") as file:
        return tuple(_app(entry) for entry in tomllib.load(file)["application"])


def _app(entry: dict[str, Any]) -> App:
    return App(**{**_frozen(entry), "roles": tuple(Role(**_frozen(role)) for role in entry["roles"])})


def _frozen(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
