"""The entries from an index on, ready to leave the house: shaped, with names only where they are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.catalog.models import Application, Entitlement
from governance.core.actor import ActorKind
from governance.identity.queries import names_by_ref
from governance.ledger.queries import SealedEntry, entries_from
from governance.streams.models import Shape
from governance.streams.shaping import Names, as_entry, as_ocsf

#: Entries of one batch at most, and about how many bytes of them.
MOST = 500
MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries in their order. `start` is the first index that was looked at, `end` the one to go on from."""

    start: int
    end: int
    entries: tuple[SealedEntry, ...]
    shaped: tuple[Mapping[str, Any], ...]


def batch_from(start: int, *, shape: str, with_names: bool, with_rows: bool, limit: int = MOST) -> Batch:
    """Return the sealed entries from index `start` on; none when there are no more. Four statements at most."""
    found = _within(entries_from(start, limit), MOST_BYTES)
    end = found[-1].index + 1 if found else start
    kept = [one for one in found if with_rows or not one.event.startswith("rows.")]
    names = names_in(kept) if with_names else Names()
    write = as_ocsf if shape == Shape.OCSF else as_entry
    return Batch(start, end, tuple(kept), tuple(write(one, names) for one in kept))


def names_in(entries: Sequence[SealedEntry]) -> Names:
    """Return the names of the people, roles and applications in these entries, as they are called now."""
    people = {one.actor_ref for one in entries if one.actor_kind == ActorKind.PERSON}
    people |= _refs(entries, "person")
    roles = [int(ref) for ref in _refs(entries, "entitlement") if ref.isdigit()]
    applications = [int(ref) for ref in _refs(entries, "application") if ref.isdigit()]
    return Names(
        {
            "person": names_by_ref(people),
            "entitlement": _named(Entitlement.objects.filter(pk__in=roles).values_list("pk", "name")) if roles else {},
            "application": _named(Application.objects.filter(pk__in=applications).values_list("pk", "name"))
            if applications
            else {},
        }
    )


def _refs(entries: Sequence[SealedEntry], kind: str) -> set[str]:
    return {subject.ref for one in entries for subject in one.subjects if subject.kind == kind}


def _named(rows: Any) -> dict[str, str]:
    return {str(pk): name for pk, name in rows}


def _within(entries: Sequence[SealedEntry], most_bytes: int) -> Sequence[SealedEntry]:
    """Return the first entries that come to no more than so many bytes, and one at least."""
    total = 0
    for number, one in enumerate(entries):
        total += len(one.body)
        if total > most_bytes and number:
            return entries[:number]
    return entries
