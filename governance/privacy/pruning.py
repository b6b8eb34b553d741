"""The writer of disposals: texts of the ledger that were kept long enough go, their hashes stay.

The database decides and does it in one function (migration 0003, ADR 26): the rule, the holds and what is still in
force are looked at there, so nobody who may call it can have more disposed of than the rule allows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from governance.core.actor import Actor
from governance.ledger.disposals import Disposal, statements
from governance.ledger.models import Checkpoint, Entry
from governance.privacy.erasing import years_later
from governance.privacy.models import LegalHold
from governance.privacy.taking_away_again import take_away_again

#: Entries looked at in one transaction. A process that is killed loses the one it was at.
AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one transaction disposed of: so many entries below `minimum`, in ranges, and what of them stayed."""

    minimum: int
    entries: int
    ranges: tuple[tuple[int, int], ...]
    years: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is kept of the ledger, what goes next, and what keeps it."""

    years: int
    #: All texts from here on are there; since when the first of them was sealed, None for an empty ledger.
    minimum: int
    kept_since: datetime | None
    #: Texts below that stayed because something needs them.
    kept_below: int
    #: Texts up to here are old enough to go with the next run.
    ripe: int
    #: When the next ones are old enough; None when that is not known.
    next_at: datetime | None
    #: The holds that run, whether they keep a text yet or not.
    holds: tuple[LegalHold, ...]
    went: tuple[Disposal, ...]


def standing(limit: int = 20) -> Standing:
    """Return how the pruning of the ledger stands, with the last disposals, newest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT years, until FROM gatehouse_ripe()")
        years, ripe = cursor.fetchone()
    went = statements()
    minimum = max((one.minimum for one in went), default=0)
    heads = Checkpoint.objects.order_by("size")
    first = heads.filter(size__gt=minimum).first()
    later = heads.filter(size__gt=max(minimum, ripe)).first()
    return Standing(
        years=years,
        minimum=minimum,
        kept_since=first.at if first else None,
        kept_below=Entry.objects.filter(index__lt=minimum).count() if minimum else 0,
        ripe=max(ripe, minimum),
        next_at=years_later(later.at, years) if later else None,
        holds=tuple(LegalHold.objects.filter(released_at__isnull=True).order_by("id")),
        went=tuple(reversed(went))[:limit],
    )


def prune(*, actor: Actor, at_once: int = AT_ONCE) -> Iterator[Pruned]:
    """Dispose of what was kept long enough, and yield what went with each transaction. Call it again any time.

    First goes again what a restored backup brought back; then what stayed earlier, for a reason that is none any more;
    then on from where the last one ended.
    """
    take_away_again(actor)
    yield from _until_nothing(since=0, at_once=None, actor=actor)
    yield from _until_nothing(since=None, at_once=at_once, actor=actor)


def what_would_go(*, actor: Actor) -> list[Pruned]:
    """Do it and undo it: return exactly what `prune` would dispose of now."""
    with transaction.atomic():
        found = list(prune(actor=actor))
        transaction.set_rollback(True)
    return found


def _until_nothing(*, since: int | None, at_once: int | None, actor: Actor) -> Iterator[Pruned]:
    while (pruned := _once(since, at_once, actor)) is not None:
        yield pruned


@transaction.atomic
def _once(since: int | None, at_once: int | None, actor: Actor) -> Pruned | None:
    """Dispose of the next texts, from `since` or else the minimum index on, `at_once` or else up to that index."""
    who = {"kind": actor.kind.value, "ref": actor.ref, "door": actor.door.value, "correlation": actor.correlation_id}
    with connection.cursor() as cursor:
        cursor.execute("SELECT gatehouse_minimum()")
        (minimum,) = cursor.fetchone()
        start = minimum if since is None else since
        end = minimum if at_once is None else start + at_once
        cursor.execute("SELECT gatehouse_prune(%s, %s, %s::jsonb)", [start, end, json.dumps(who)])
        (said,) = cursor.fetchone()
    return None if said is None else _read(json.loads(said) if isinstance(said, str) else said)


def _read(said: dict[str, Any]) -> Pruned:
    return Pruned(said["minimum"], said["entries"], tuple((start, end) for start, end in said["ranges"]), said["years"])
