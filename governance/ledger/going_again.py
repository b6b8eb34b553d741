"""What came back with a restored backup although the log says that it is gone, and is taken away again.

The ledger knows only that there may be such things. The room that takes texts and names away (privacy) says how many
are back, and takes them away once more; it registers both when the program starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from governance.core.actor import Actor


@dataclass(frozen=True, slots=True)
class CameBack:
    """How much is there that the log says is gone."""

    #: Texts of entries that a disposal names.
    texts: int = 0
    #: People who were erased.
    people: int = 0
    #: Bundles that were withdrawn because they named somebody who was erased.
    bundles: int = 0

    def __bool__(self) -> bool:
        """Tell whether anything is."""
        return self != CameBack()

    def __str__(self) -> str:
        """Say what, in words for a command's output."""
        return f"{self.texts} texts of entries, the names of {self.people} people, {self.bundles} bundles"


@dataclass(frozen=True, slots=True)
class Remover:
    """Counts what came back, and takes it away again in the transaction of the caller, on record."""

    count: Callable[[], CameBack]
    take_away: Callable[[Actor], CameBack]


_removers: list[Remover] = []


def register(remover: Remover) -> None:
    """Have this asked, and called, from now on."""
    _removers.append(remover)


def what_came_back() -> CameBack:
    """Return how much is there that the log says is gone."""
    return _sum([one.count() for one in _removers])


def take_away_again(actor: Actor) -> CameBack:
    """Take it away again; return how much it was."""
    return _sum([one.take_away(actor) for one in _removers])


def _sum(found: list[CameBack]) -> CameBack:
    return CameBack(
        sum(one.texts for one in found), sum(one.people for one in found), sum(one.bundles for one in found)
    )
