"""What the log says of texts that were disposed of, and whether it holds. Part of the inner check.

Each disposal is an entry `ledger.pruned` (docs/ledger-format.md). It counts from the commit on that took the texts
away, so one that still waits to be sealed is read from the outbox.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from governance.ledger.events import LEDGER_PRUNED

#: Nothing is disposed of earlier, whatever a rule says (HIPAA, 45 CFR 164.316(b)(2)(i)).
FEWEST_YEARS = 6


class NoDisposal(Exception):
    """An entry says that texts were disposed of, and not how such an entry says it. `index` is its number."""

    def __init__(self, index: int | None) -> None:
        super().__init__("It does not say what was disposed of.")
        self.index = index


@dataclass(frozen=True, slots=True)
class Disposal:
    """The texts of some entries went. Ranges are half-open, in order, and do not touch what stayed."""

    #: The entry that says so; None while it waits to be sealed.
    index: int | None
    at: datetime
    #: All texts below are disposed of, or were kept for a reason.
    minimum: int
    ranges: tuple[tuple[int, int], ...]
    entries: int
    #: Over the leaf hashes of the ranges, one after the other.
    sha256: str
    #: The rule: so many years after the day an entry was sealed; so what was sealed after that instant stayed.
    years: int
    sealed_until: datetime

    def covers(self, index: int) -> bool:
        """Tell whether the text of this entry went."""
        return any(start <= index < end for start, end in self.ranges)


def statements() -> list[Disposal]:
    """Return every disposal, oldest first, those that wait to be sealed last. Raises NoDisposal.

    What waits is read first: what is sealed in between is then read twice and not missed.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT rows, created_at FROM ledger_captured WHERE operation = 'pruned' ORDER BY id")
        waiting = [(None, at, _json(rows)["data"]) for rows, at in cursor.fetchall()]
        cursor.execute("SELECT index, body FROM ledger_entry WHERE event = %s ORDER BY index", [LEDGER_PRUNED])
        said = [(index, json.loads(body)) for index, body in cursor.fetchall()]
    sealed = [(index, datetime.fromisoformat(body["at"]), body["data"]) for index, body in said]
    known = {json.dumps(data, sort_keys=True) for _, _, data in sealed}
    return [
        _read(*one) for one in (*sealed, *(one for one in waiting if json.dumps(one[2], sort_keys=True) not in known))
    ]


def disposes_too_early(said: Sequence[Disposal]) -> Disposal | None:
    """Return the first disposal of entries that were sealed after the instant it names, by when heads were signed."""
    ends = [(place, one.minimum, one.sealed_until) for place, one in enumerate(said)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(one.place)"
            " FROM unnest(%s::int[], %s::bigint[], %s::timestamptz[]) AS one (place, minimum, until)"
            " WHERE NOT EXISTS (SELECT FROM ledger_checkpoint WHERE size >= minimum AND at <= until)",
            [list(column) for column in zip(*ends, strict=True)] or [[], [], []],
        )
        found = cursor.fetchone()[0]
    return None if found is None else said[found]


def disposal_of(index: int) -> Disposal | None:
    """Return what says that the text of this entry was disposed of, or None."""
    return next((one for one in statements() if one.covers(index)), None)


def minimum_index() -> int:
    """Return the minimum index of the log: from here on every text is there. 0 while nothing was disposed of."""
    return how_often_and_up_to()[1]


def how_often_and_up_to() -> tuple[int, int]:
    """Return how many disposals there were, and the minimum index. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM ledger_entry WHERE event = %(event)s)"
            " + (SELECT count(*) FROM ledger_captured WHERE operation = 'pruned'), coalesce(greatest("
            "(SELECT (body::jsonb #>> '{data,minimum}')::bigint FROM ledger_entry"
            " WHERE event = %(event)s ORDER BY index DESC LIMIT 1),"
            " (SELECT (rows #>> '{data,minimum}')::bigint FROM ledger_captured"
            " WHERE operation = 'pruned' ORDER BY id DESC LIMIT 1)), 0)",
            {"event": LEDGER_PRUNED},
        )
        times, minimum = cursor.fetchone()
    return int(times), int(minimum)


@dataclass(slots=True)
class Disposed:
    """Every disposal, held against the entries as a walk passes them."""

    said: Sequence[Disposal]
    _starts: list[tuple[int, int, int]] = field(default_factory=list)
    _digests: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = sorted((start, end, place) for place, one in enumerate(self.said) for start, end in one.ranges)
        self._digests = [hashlib.sha256() for _ in self.said]

    def of(self, index: int) -> Disposal | None:
        """Return what says that the text of this entry went, or None."""
        place = self._place(index)
        return None if place is None else self.said[place]

    def pass_by(self, index: int, leaf: bytes) -> None:
        """Take note of the leaf hash of the next entry."""
        place = self._place(index)
        if place is not None:
            self._digests[place].update(leaf)

    def what_is_wrong(self) -> tuple[Disposal, str] | None:
        """Return the first disposal that cannot be, and why, once all entries have passed; None when all hold."""
        before = 0
        overlapping = {
            later[2] for one, later in zip(self._starts, self._starts[1:], strict=False) if later[0] < one[1]
        }
        for place, one in enumerate(self.said):
            if problem := _out_of_rule(one, before) or (
                "disposes of what another one has" if place in overlapping else ""
            ):
                return one, problem
            if self._digests[place].hexdigest() != one.sha256:
                return one, "has another digest than the hashes of the entries that it names"
            before = one.minimum
        return None

    def _place(self, index: int) -> int | None:
        found = bisect_right(self._starts, (index, 2**63, 0)) - 1
        return self._starts[found][2] if found >= 0 and index < self._starts[found][1] else None


def _out_of_rule(one: Disposal, before: int) -> str:
    """Return what is wrong with a disposal by what it says itself; `before` is the minimum index until then."""
    if one.entries != sum(end - start for start, end in one.ranges):
        return "counts its entries wrongly"
    if one.minimum < before or any(not 0 <= start < end <= one.minimum for start, end in one.ranges):
        return "does not continue where the one before ended"
    if one.index is not None and one.minimum > one.index:
        return "disposes of what came after it"
    if one.years < FEWEST_YEARS or _years_later(one.sealed_until, one.years) > one.at:
        return "disposes of entries that had to be kept"
    return ""


def _years_later(at: datetime, years: int) -> datetime:
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=2, day=28)


def _read(index: int | None, at: datetime, data: Any) -> Disposal:
    try:
        return Disposal(
            index=index,
            at=at,
            minimum=int(data["minimum"]),
            ranges=tuple((int(start), int(end)) for start, end in data["ranges"]),
            entries=int(data["entries"]),
            sha256=str(data["sha256"]),
            years=int(data["years"]),
            sealed_until=datetime.fromisoformat(data["sealed_until"]),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise NoDisposal(index) from error


def _json(said: Any) -> Any:
    return json.loads(said) if isinstance(said, str) else said
