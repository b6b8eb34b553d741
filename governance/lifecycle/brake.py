"""The brake (promise 10): how many people one source takes from within its window, and whether that is too many.

Up to the limit everything happens at once. What passes it is held (`lifecycle.holding`) until a second person decides
or an independent source names the same people. Only sources are braked: what Gatehouse does by itself is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Sum

from governance.core.actor import Actor, Door, acting_as
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.core.statements import row, rows
from governance.core.transactions import whole
from governance.identity.models import Connection, Person, Status
from governance.ledger.recording import Subject, record
from governance.lifecycle import events
from governance.lifecycle.models import Kind, SignalCount, SourceBrake

#: The name of each source that is no connection.
PAGE, API, HR_FILE = "page", "api", "file:hr"
DEFAULTS = SourceBrake()
WINDOW_RANGE = (1, 168)
#: Where a limit is this near, those who count wait for each other, so that no two of them pass it together.
NEAR = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """From how many people on a source is held. See `SourceBrake`."""

    at_least: int = DEFAULTS.at_least
    share_percent: int = DEFAULTS.share_percent
    at_most: int = DEFAULTS.at_most
    window_hours: int = DEFAULTS.window_hours

    def among(self, people: int) -> int:
        """Return the limit for a source that speaks of so many people."""
        return max(self.at_least, min(self.at_most, people * self.share_percent // 100))


@dataclass(frozen=True, slots=True)
class Reading:
    """What was counted for one signal: `taken` includes it. `people` is how many the source speaks of."""

    source: str
    kind: str
    limit: int
    taken: int
    people: int
    window_hours: int

    @property
    def is_over(self) -> bool:
        """Tell whether this signal passes the limit."""
        return self.taken > self.limit

    @property
    def is_near(self) -> bool:
        """Tell whether others who count at the same moment could make it pass the limit."""
        return not self.is_over and self.taken + min(NEAR, self.limit // 2) > self.limit


def source_of(actor: Actor) -> str | None:
    """Return the source that an actor speaks for, or None for Gatehouse itself, which is not braked."""
    match actor.door:
        case Door.SCIM:
            return f"scim:{actor.ref}"
        case Door.WEB:
            return PAGE
        case Door.API:
            return API
        case _:
            return None


def passes(reading: Reading) -> bool:
    """Tell whether a signal that was counted may happen at once. Near the limit it is counted again, one by one.

    Writers far from a limit do not wait for each other, so those in flight at once may pass half of it together; from
    there on each sees what all before it did.
    """
    if reading.is_over:
        # Whoever holds may be the first: holds are made one by one.
        _wait_for_turn(reading.source)
        return False
    if not reading.is_near:
        return True
    _wait_for_turn(reading.source)
    found = row(_TAKEN, [reading.source, reading.kind, now(), reading.window_hours])
    return found is None or found[0] <= reading.limit


def count(source: str, kind: str, people: int, *, at: datetime, person_id: int = 0) -> Reading:
    """Count that a source takes from so many people, and return where that leaves it. One statement.

    With `person_id` it is about one person, who is not counted again while the same is held about them.
    """
    found = row(
        f"{COUNTING} {READING}",
        {"source": source, "kind": kind, "at": at, "people": people, "counts": True, "person": person_id},
    )
    return reading_of(source, kind, people, found or ())


def reading_of(source: str, kind: str, people: int, found: tuple[object, ...]) -> Reading:
    """Return what the columns of `READING` say; the same statement counted `people`, which it does not see itself."""
    at_least, share, at_most, spoken_of, window, taken = (int(str(each)) for each in found[:6])
    limits = Limits(at_least, share, at_most, window)
    return Reading(source, kind, limits.among(spoken_of), taken + people, spoken_of, window)


def forget(source: str) -> None:
    """Begin to count anew, after somebody released what was held."""
    rows("DELETE FROM lifecycle_signalcount WHERE source = %s", [source])


#: A signal about somebody whose leaving is held already is not counted twice.
COUNTING = """
WITH counted AS (
    INSERT INTO lifecycle_signalcount AS kept (source, kind, hour, slot, signals)
    SELECT %(source)s::text, %(kind)s::text, date_trunc('hour', %(at)s::timestamptz), pg_backend_pid() %% 16,
        %(people)s::integer
    WHERE %(counts)s::boolean AND NOT EXISTS (
        SELECT FROM lifecycle_helditem held
        WHERE held.person_id = %(person)s::bigint AND held.kind = %(kind)s::text AND held.state = 'waiting')
    ON CONFLICT (source, kind, hour, slot) DO UPDATE SET signals = kept.signals + excluded.signals
)
"""
FROM = "FROM (SELECT 1) AS always"
READING = f"""
SELECT coalesce(brake.at_least, {DEFAULTS.at_least}), coalesce(brake.share_percent, {DEFAULTS.share_percent}),
    coalesce(brake.at_most, {DEFAULTS.at_most}), coalesce(brake.people, 0),
    coalesce(brake.window_hours, {DEFAULTS.window_hours}), (
        SELECT coalesce(sum(earlier.signals), 0) FROM lifecycle_signalcount earlier
        WHERE earlier.source = %(source)s::text AND earlier.kind = %(kind)s::text
            AND earlier.hour > %(at)s::timestamptz
                - make_interval(hours => coalesce(brake.window_hours, {DEFAULTS.window_hours}))
    )
{FROM} LEFT JOIN lifecycle_sourcebrake brake ON brake.source = %(source)s::text
"""  # noqa: S608 - numbers of the code; values are parameters
_TAKEN = """
SELECT coalesce(sum(signals), 0) FROM lifecycle_signalcount
WHERE source = %s::text AND kind = %s::text AND hour > %s::timestamptz - make_interval(hours => %s::integer)
"""


def _wait_for_turn(source: str) -> None:
    rows("SELECT pg_advisory_xact_lock(hashtext('lifecycle.brake'), hashtext(%s))", [source])


@whole
def set_limits(source: str, limits: Limits, *, actor: Actor) -> SourceBrake:
    """Make a source follow these limits; what says the same already is not recorded.

    Raises Invalid.
    """
    _check(limits)
    brake, is_new = SourceBrake.objects.select_for_update().get_or_create(source=source)
    before = limits_of(brake)
    if not is_new and before == limits:
        return brake
    brake.at_least, brake.share_percent = limits.at_least, limits.share_percent
    brake.at_most, brake.window_hours = limits.at_most, limits.window_hours
    if is_new:
        brake.people, brake.counted_at = people_of(source), now()
    brake.save()
    changed = {
        name: [getattr(before, name), getattr(limits, name)]
        for name in Limits.__slots__
        if getattr(before, name) != getattr(limits, name)
    }
    record(events.BRAKE_CHANGED, actor=actor, subjects=[Subject("source", source)], data=changed)
    return brake


def limits_of(brake: SourceBrake) -> Limits:
    """Return the limits a source follows now."""
    return Limits(**{name: getattr(brake, name) for name in Limits.__slots__})


def people_of(source: str) -> int:
    """Return of how many active people a source speaks: those a connection brought, everybody for all others."""
    active = Person.objects.filter(status=Status.ACTIVE)
    return (active.filter(source=source) if source.startswith("scim:") else active).count()


def count_people() -> int:
    """Note anew of how many people each source speaks, and forget old hours; return how many sources there are.

    People whom a source took from within the window are part of it: a share of what is left would shrink as they go.
    """
    at = now()
    oldest = at - timedelta(hours=WINDOW_RANGE[1] + 1)
    SignalCount.objects.filter(hour__lt=oldest).delete()
    known = set(SourceBrake.objects.values_list("source", flat=True))
    heard = set(SignalCount.objects.values_list("source", flat=True).distinct()) | {PAGE, API, HR_FILE}
    heard |= {one.source for one in Connection.objects.filter(revoked_at__isnull=True)}
    _add_brakes(sorted(heard - known))
    by_source, everybody = _active_people()
    for brake in SourceBrake.objects.order_by("source"):
        since = at - timedelta(hours=brake.window_hours)
        gone = SignalCount.objects.filter(source=brake.source, kind=Kind.LEAVE, hour__gt=since)
        left = gone.aggregate(total=Sum("signals"))["total"] or 0
        present = by_source.get(brake.source, 0) if brake.source.startswith("scim:") else everybody
        SourceBrake.objects.filter(pk=brake.pk).update(people=present + left, counted_at=at)
    return len(known | heard)


@transaction.atomic
def _add_brakes(sources: Sequence[str]) -> None:
    """Have each source a brake with the usual limits, on record."""
    # The clock calls this: no door has said who acts, and the field history of brakes asks.
    with acting_as(Actor.system("brake")) as actor:
        for source in sources:
            _, is_new = SourceBrake.objects.get_or_create(source=source)
            if is_new:
                record(events.BRAKE_ADDED, actor=actor, subjects=[Subject("source", source)])


def _active_people() -> tuple[dict[str, int], int]:
    counted = Person.objects.filter(status=Status.ACTIVE).values("source").annotate(number=Count("pk"))
    by_source = {one["source"]: one["number"] for one in counted.order_by()}
    return by_source, sum(by_source.values())


def _check(limits: Limits) -> None:
    problems = {}
    if limits.at_least < 1:
        problems["at_least"] = "At least one person: a single leaver is never held."
    if limits.at_most < 1:
        problems["at_most"] = "At least one person."
    if not 0 <= limits.share_percent <= 100:
        problems["share_percent"] = "Between 0 and 100."
    if not WINDOW_RANGE[0] <= limits.window_hours <= WINDOW_RANGE[1]:
        problems["window_hours"] = f"Between {WINDOW_RANGE[0]} and {WINDOW_RANGE[1]} hours."
    if max(limits.at_least, limits.at_most) > 2_000_000_000:
        problems["at_least"] = "At most two billion."
    if problems:
        raise Invalid(problems)
