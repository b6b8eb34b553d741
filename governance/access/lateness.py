"""How punctually access ended in a period: due, ordered, delivered and read back, in seconds after the end.

A grant keeps when it was due and ordered, its removal when it was delivered and read back: nothing is kept twice.
What another grant still supports, or was never given, has no removal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.access.models import EndCause
from governance.core.statements import row, rows


@dataclass(frozen=True, slots=True)
class Seconds:
    """By how much a half, 95 and 99 of a hundred, and all were late at most; observed values, none in between."""

    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Lateness:
    """What became of the ends that were due in a period. `Seconds` are none where nothing came that far."""

    due: int
    ordered: int
    removals: int
    delivered: int
    verified: int
    #: Carried out by hand, by the word of a person: delivered, and never read back.
    by_hand: int
    failed: int
    until_ordered: Seconds | None
    until_delivered: Seconds | None
    until_verified: Seconds | None


@dataclass(frozen=True, slots=True)
class LateEnd:
    """One end that was late, or still is; instants are none for what did not happen yet."""

    grant_id: int
    person: str
    application: str
    entitlement: str
    due_at: datetime
    ordered_at: datetime | None
    delivered_at: datetime | None
    verified_at: datetime | None
    seconds_late: float


def lateness(
    first: datetime, before: datetime, *, at: datetime, causes: Collection[EndCause] = (EndCause.EXPIRED,)
) -> Lateness:
    """Return how punctual the ends were that were due from `first` until before `before`, as things stand at `at`.

    `causes` are those that count: by default ends that time alone brought about, which no transaction orders at once.
    """
    found = row(_LATENESS, {"first": first, "before": before, "at": at, "causes": list(causes)})
    assert found is not None
    return Lateness(*found[:7], *(_seconds(measured) for measured in found[7:]))


def late_ends(
    first: datetime,
    before: datetime,
    *,
    at: datetime,
    longer_than: timedelta,
    after: tuple[datetime, int] | None = None,
    limit: int = 100,
) -> list[LateEnd]:
    """Return by name the ends due in a period that were not read back within `longer_than`, in the order they were due.

    `after` is the due instant and the key of the last one of the page before. What was done by hand counts as done
    when somebody said so.
    """
    known = {"first": first, "before": before, "at": at, "longer_than": longer_than, "limit": limit}
    after_at, after_id = after or (first, 0)
    return [LateEnd(*found) for found in rows(_LATE, {**known, "after_at": after_at, "after_id": after_id})]


def _seconds(measured: Sequence[float] | None) -> Seconds | None:
    return Seconds(*measured) if measured else None


#: Each half by the index that holds it.
_ENDS = """
ends AS (
    SELECT id, person_id, entitlement_id, application_id, end_cause, ends_at, end_ordered_at, take_operation_id
    FROM access_grant
    WHERE end_ordered_at IS NOT NULL AND ends_at >= %(first)s AND ends_at < %(before)s AND ends_at <= %(at)s
    UNION ALL
    SELECT id, person_id, entitlement_id, application_id, 'expired', ends_at, NULL, NULL
    FROM access_grant
    WHERE end_ordered_at IS NULL AND ends_at >= %(first)s AND ends_at < %(before)s AND ends_at <= %(at)s
)
"""


def _percentiles(instant: str) -> str:
    late = f"extract(epoch FROM {instant} - ends.ends_at)::double precision"
    known = f"WITHIN GROUP (ORDER BY {late}) FILTER (WHERE {instant} IS NOT NULL)"
    return f"percentile_disc(ARRAY[0.5, 0.95, 0.99, 1.0]) {known}"


_LATENESS = f"""
WITH {_ENDS}
SELECT count(*), count(ends.end_ordered_at), count(removal.id), count(removal.delivered_at), count(removal.verified_at),
    count(removal.confirmed_by_id), count(*) FILTER (WHERE removal.state = 'failed'),
    {_percentiles("ends.end_ordered_at")}, {_percentiles("removal.delivered_at")}, {_percentiles("removal.verified_at")}
FROM ends LEFT JOIN provisioning_operation removal ON removal.id = ends.take_operation_id
WHERE ends.end_cause = ANY(%(causes)s::text[])
"""  # noqa: S608 - parts of the code; values are parameters
_LATE = f"""
WITH {_ENDS}, late AS (
    SELECT ends.*, removal.delivered_at, removal.verified_at,
        coalesce(removal.verified_at, CASE WHEN removal.confirmed_by_id IS NOT NULL THEN removal.delivered_at END,
            %(at)s) - ends.ends_at AS late
    FROM ends LEFT JOIN provisioning_operation removal ON removal.id = ends.take_operation_id
    WHERE (removal.id IS NOT NULL OR ends.end_ordered_at IS NULL)
        AND (ends.ends_at, ends.id) > (%(after_at)s, %(after_id)s)
)
SELECT late.id, person.display_name, application.name, entitlement.name, late.ends_at, late.end_ordered_at,
    late.delivered_at, late.verified_at, extract(epoch FROM late.late)::double precision
FROM late
JOIN identity_person person ON person.id = late.person_id
JOIN catalog_entitlement entitlement ON entitlement.id = late.entitlement_id
JOIN catalog_application application ON application.id = late.application_id
WHERE late.late > %(longer_than)s
ORDER BY late.ends_at, late.id LIMIT %(limit)s
"""  # noqa: S608 - parts of the code; values are parameters
