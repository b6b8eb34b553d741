"""How punctually access ended in a period: due, ordered, delivered and read back, in seconds after the end.

A grant keeps when it was due and ordered, its removal when it was delivered and read back: nothing is kept twice.
What another grant still supports, or was never given, has no removal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from governance.access.models import EndCause
from governance.core.statements import rows


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
    person_ref: str
    application_slug: str
    #: Of the removal: its state, who carried it out by hand, why it failed. Empty where there is no removal yet.
    state: str
    by_hand: str
    last_error: str

    @property
    def missing(self) -> str:
        """Return what has not happened yet, or `late` when everything did."""
        if self.ordered_at is None:
            return "ordered"
        if self.delivered_at is None:
            return "delivered"
        return "late" if self.verified_at or self.by_hand else "verified"


@dataclass(frozen=True, slots=True)
class OfApplication:
    """How punctual the ends in one application were."""

    id: int
    slug: str
    name: str
    lateness: Lateness


@dataclass(frozen=True, slots=True)
class Report:
    """How punctual ends were, all together and by application, by name."""

    total: Lateness
    by_application: tuple[OfApplication, ...]


def lateness(
    first: datetime, before: datetime, *, at: datetime, causes: Collection[EndCause] = (EndCause.EXPIRED,)
) -> Lateness:
    """Return how punctual the ends were that were due from `first` until before `before`, as things stand at `at`.

    `causes` are those that count: by default ends that time alone brought about, which no transaction orders at once.
    """
    return report(first, before, at=at, causes=causes).total


def report(
    first: datetime,
    before: datetime,
    *,
    at: datetime,
    causes: Collection[EndCause] = (EndCause.EXPIRED,),
    applications: Collection[int] | None = None,
) -> Report:
    """Return the same with each application by name; only of `applications` unless it is None. One statement."""
    known = {"first": first, "before": before, "at": at, "causes": list(causes)}
    found = rows(_REPORT, {**known, "applications": None if applications is None else list(applications)})
    total = [one for one in found if one[0] is None]
    by_application = [OfApplication(one[0], one[1], one[2], _lateness(one[3:])) for one in found if one[0] is not None]
    return Report(_lateness(total[0][3:]), tuple(by_application))


def _lateness(found: Sequence[Any]) -> Lateness:
    return Lateness(*found[:7], *(_seconds(measured) for measured in found[7:]))


def late_ends(
    first: datetime,
    before: datetime,
    *,
    at: datetime,
    longer_than: timedelta,
    causes: Collection[EndCause] | None = None,
    applications: Collection[int] | None = None,
    after: tuple[datetime, int] | None = None,
    limit: int = 100,
) -> list[LateEnd]:
    """Return by name the ends due in a period that were not read back within `longer_than`, in the order they were due.

    `after` is the due instant and the key of the last one of the page before. What was done by hand counts as done
    when somebody said so. Of all causes and applications unless some are named.
    """
    known = {
        "first": first,
        "before": before,
        "at": at,
        "longer_than": longer_than,
        "limit": limit,
        "causes": None if causes is None else list(causes),
        "applications": None if applications is None else list(applications),
    }
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

_OF_THESE = "(%(applications)s::bigint[] IS NULL OR ends.application_id = ANY(%(applications)s::bigint[]))"


def _percentiles(instant: str) -> str:
    late = f"extract(epoch FROM {instant} - ends.ends_at)::double precision"
    known = f"WITHIN GROUP (ORDER BY {late}) FILTER (WHERE {instant} IS NOT NULL)"
    return f"percentile_disc(ARRAY[0.5, 0.95, 0.99, 1.0]) {known}"


_REPORT = f"""
WITH {_ENDS}, counted AS (
    SELECT ends.application_id, count(*) AS due, count(ends.end_ordered_at) AS ordered, count(removal.id) AS removals,
        count(removal.delivered_at) AS delivered, count(removal.verified_at) AS verified,
        count(removal.confirmed_by_id) AS by_hand, count(*) FILTER (WHERE removal.state = 'failed') AS failed,
        {_percentiles("ends.end_ordered_at")} AS until_ordered,
        {_percentiles("removal.delivered_at")} AS until_delivered,
        {_percentiles("removal.verified_at")} AS until_verified
    FROM ends LEFT JOIN provisioning_operation removal ON removal.id = ends.take_operation_id
    WHERE ends.end_cause = ANY(%(causes)s::text[]) AND {_OF_THESE}
    GROUP BY GROUPING SETS ((ends.application_id), ())
)
SELECT application.id, application.slug, application.name, counted.due, counted.ordered, counted.removals,
    counted.delivered, counted.verified, counted.by_hand, counted.failed, counted.until_ordered,
    counted.until_delivered, counted.until_verified
FROM counted LEFT JOIN catalog_application application ON application.id = counted.application_id
ORDER BY application.name, application.id
"""  # noqa: S608 - parts of the code; values are parameters
_LATE = f"""
WITH {_ENDS}, late AS (
    SELECT ends.*, removal.delivered_at, removal.verified_at, coalesce(removal.state, '') AS state,
        removal.confirmed_by_id, coalesce(removal.last_error, '') AS last_error,
        coalesce(removal.verified_at, CASE WHEN removal.confirmed_by_id IS NOT NULL THEN removal.delivered_at END,
            %(at)s) - ends.ends_at AS late
    FROM ends LEFT JOIN provisioning_operation removal ON removal.id = ends.take_operation_id
    WHERE (removal.id IS NOT NULL OR ends.end_ordered_at IS NULL)
        AND (ends.ends_at, ends.id) > (%(after_at)s, %(after_id)s)
        AND (%(causes)s::text[] IS NULL OR ends.end_cause = ANY(%(causes)s::text[])) AND {_OF_THESE}
)
SELECT late.id, person.display_name, application.name, entitlement.name, late.ends_at, late.end_ordered_at,
    late.delivered_at, late.verified_at, extract(epoch FROM late.late)::double precision,
    person.ref::text, application.slug, late.state, coalesce(hand.display_name, ''), late.last_error
FROM late
JOIN identity_person person ON person.id = late.person_id
JOIN catalog_entitlement entitlement ON entitlement.id = late.entitlement_id
JOIN catalog_application application ON application.id = late.application_id
LEFT JOIN identity_person hand ON hand.id = late.confirmed_by_id
WHERE late.late > %(longer_than)s
ORDER BY late.ends_at, late.id LIMIT %(limit)s
"""  # noqa: S608 - parts of the code; values are parameters
