"""Who acts, through which door, and which acts belong together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import uuid4


class Door(StrEnum):
    """The way an action came in."""

    WEB = "web"
    API = "api"
    SCIM = "scim"
    CLOCK = "clock"
    COMMAND = "command"
    #: No action of ours: what the triggers of governed tables saw. Only the ledger uses it.
    DATABASE = "database"


class ActorKind(StrEnum):
    """A person at a door, a machine with a token, or Gatehouse itself."""

    PERSON = "person"
    SERVICE = "service"
    SYSTEM = "system"


def new_correlation_id() -> str:
    """Return a fresh id (32 hex digits) that ties together what one signal causes."""
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who acts. Every action takes one as its keyword-only `actor`.

    `ref` is what the ledger stores: a person's permanent random reference, a service's token name,
    or the name of the part of Gatehouse that acts by itself. It never holds a name or an address of a person.
    `person_id` is the primary key of the acting Person, when there is one.
    """

    kind: ActorKind
    ref: str
    door: Door
    person_id: int | None = None
    correlation_id: str = field(default_factory=new_correlation_id)

    @classmethod
    def system(cls, name: str, *, door: Door = Door.CLOCK, correlation_id: str | None = None) -> Actor:
        """Return Gatehouse itself acting as `name`, for instance `expiry`."""
        return cls(ActorKind.SYSTEM, name, door, correlation_id=correlation_id or new_correlation_id())

    @classmethod
    def service(cls, name: str, *, door: Door) -> Actor:
        """Return a machine that presented the token called `name`."""
        return cls(ActorKind.SERVICE, name, door)

    def caused_by(self, correlation_id: str) -> Actor:
        """Return the same actor continuing an earlier chain of acts."""
        return replace(self, correlation_id=correlation_id)


NOBODY = Actor(ActorKind.SYSTEM, "unattributed", Door.COMMAND, correlation_id="0" * 32)

_current: ContextVar[Actor | None] = ContextVar("gatehouse_actor", default=None)


def current_actor() -> Actor | None:
    """Return the actor set at the outermost point of this request, task or command, if any."""
    return _current.get()


@contextlib.contextmanager
def acting_as(actor: Actor) -> Iterator[Actor]:
    """Set the actor for everything called inside. Doors use it once, at their outermost point.

    Actions never read it: they take `actor=`. It exists for what cannot take an argument, such as the
    field history of configuration models.
    """
    token = _current.set(actor)
    try:
        yield actor
    finally:
        _current.reset(token)
