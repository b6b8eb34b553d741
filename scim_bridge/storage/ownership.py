"""A name that another connection holds: a plain refusal, and a conflict that an administrator sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from governance.core.errors import Conflict
from governance.identity.connections.ownership import note_conflict
from governance.identity.models import Group, Person
from scim_bridge.adapters import Caller


class NameTaken(Conflict):
    """Somebody, or a group, has the name that a connection wrote."""

    def __init__(self, error: Conflict, about: type[Person] | type[Group], name: str) -> None:
        super().__init__(str(error))
        self.about = about
        self.name = name


@contextmanager
def naming(about: type[Person] | type[Group], name: str) -> Iterator[None]:
    """Enclose a write that gives this name: a refusal carries it, so that it can be looked at after the rollback."""
    try:
        yield
    except Conflict as error:
        raise NameTaken(error, about, name) from error


def told_of_conflict(error: NameTaken, caller: Caller) -> Conflict:
    """Return what the connection is told. When another live connection has the name, that is kept as a conflict.

    The write was rolled back before: what is kept here is a transaction of its own.
    """
    if caller.connection_id is None or not caller.others:
        return error
    holder = note_conflict(caller.connection_id, about=error.about, name=error.name)
    if holder is None:
        return error
    if error.about is Person:
        what = f"The user name {error.name} belongs to somebody whom the connection {holder} brought."
    else:
        what = f"The group name {error.name} belongs to a group that the connection {holder} brought."
    return Conflict(f"{what} A security administrator can hand over or dismiss this in Gatehouse.")
