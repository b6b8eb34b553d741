"""The writers of readings: begin one, take in what a report shows, and say what could not be read.

A report is taken in by one statement over all its rows, in a transaction of its own: either its row in the reading and
every change of its exceptions are there, or nothing is. So a reading that was cut off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, IntegerField
from django.db.models.expressions import RawSQL

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.exceptions import events
from governance.exceptions.models import Attempt, Outcome, Reading, ReportReading, Turn
from governance.ledger.recording import Subject, record, record_selected, subjects_sql

#: A report that was begun this often and never taken in is given up: something in it kills its reader.
MOST_ATTEMPTS = 3
_EVENT_OF_TURN = {
    Turn.OPENED: events.EXCEPTION_OPENED,
    Turn.REOPENED: events.EXCEPTION_REOPENED,
    Turn.CHANGED: events.EXCEPTION_CHANGED,
    Turn.GONE: events.EXCEPTION_GONE,
}


@dataclass(frozen=True, slots=True)
class Cut:
    """What a reading is about: the days of its period, and up to where of the log it sees."""

    first_day: date
    last_day: date
    zone: str
    known_at: datetime
    ledger_size: int


@dataclass(frozen=True, slots=True)
class Source:
    """A report as a reading needs it. `sql` gives rows with `row_id`, `exceptions`, `first_entry` and `last_entry`."""

    report: str
    version: str
    sql: str
    parameters: Mapping[str, Any]
    #: The columns with the short name of the application and the reference of the person, where it has them.
    application: str | None
    person: str | None
    #: The row ids of what is still found in a later period as long as it is there (SQL pattern); none: nothing is.
    lasting: str | None
    #: Whether it rests on what was read in the applications: what cannot be read is not gone.
    rests_on_sources: bool


@transaction.atomic
def begin(
    cut: Cut,
    *,
    reports: Sequence[str],
    unseen: Collection[str],
    turn_of: date | None,
    actor: Actor,
) -> Reading | None:
    """Begin a reading of these reports. None: that day's reading of the period has begun already."""
    known = {"reports": list(reports), "unseen": sorted(unseen), "asked_by_ref": "" if turn_of else actor.ref}
    fields = {
        "last_day": cut.last_day,
        "zone": cut.zone,
        "known_at": cut.known_at,
        "ledger_size": cut.ledger_size,
        "begun_at": now(),
        "correlation_id": actor.correlation_id,
        **known,
    }
    if turn_of is None:
        reading = Reading.objects.create(first_day=cut.first_day, **fields)
    else:
        reading, is_new = Reading.objects.get_or_create(first_day=cut.first_day, turn_of=turn_of, defaults=fields)
        if not is_new:
            return None
    data = {
        "first": cut.first_day.isoformat(),
        "last": cut.last_day.isoformat(),
        "zone": cut.zone,
        "known_at": cut.known_at,
        "ledger_size": cut.ledger_size,
        "reports": len(reports),
    }
    record(events.READING_BEGUN, actor=actor, subjects=[subject_of(reading)], data=data)
    return reading


def unfinished() -> list[Reading]:
    """Return the readings in which a report is still to be read, the oldest first."""
    wanted = RawSQL("cardinality(reports)", (), output_field=IntegerField())
    counted = Reading.objects.annotate(done=Count("report_readings"), wanted=wanted)
    return list(counted.filter(done__lt=F("wanted")).order_by("id"))


def to_read(reading: Reading) -> list[str]:
    """Return the reports of a reading that are still to be read, in their order."""
    done = set(ReportReading.objects.filter(reading=reading).values_list("report", flat=True))
    return [report for report in reading.reports if report not in done]


def has_attempts_left(reading: Reading, report: str) -> bool:
    """Count an attempt before it can fail, and tell whether it may be made."""
    made = Attempt.objects.filter(reading=reading, report=report).count()
    Attempt.objects.create(reading=reading, report=report, begun_at=now())
    return made < MOST_ATTEMPTS


@transaction.atomic
def take_in(reading: Reading, source: Source, *, timeout_milliseconds: int) -> ReportReading:
    """Read one report and bring its exceptions up to what it shows, in one statement over all its rows.

    Raises OperationalError when it takes too long: then nothing is changed.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {timeout_milliseconds:d}")
        cursor.execute(_statement(source), _parameters(reading, source))
        counted = dict(zip(_COUNTED, cursor.fetchone(), strict=True))
        cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    for turn, event in _EVENT_OF_TURN.items():
        if counted[turn.value]:
            _record_turn(reading, source.report, turn, event)
    unseen = list(reading.unseen) if source.rests_on_sources else []
    return _keep(reading, source, Outcome.PARTLY if unseen else Outcome.READ, unseen=unseen, **counted)


@transaction.atomic
def say_unreadable(reading: Reading, source: Source, why: str) -> ReportReading:
    """Say that a report could not be read. Nothing is concluded about its exceptions."""
    return _keep(reading, source, Outcome.UNREADABLE, why=why[:300])


def subject_of(reading: Reading) -> Subject:
    """Return what ledger entries about a reading name."""
    return Subject("control_reading", str(reading.ref))


def reader_of(reading: Reading) -> Actor:
    """Return the part of Gatehouse that reads, continuing the act of whoever asked."""
    return Actor.system("evidence", door=Door.CLOCK, correlation_id=reading.correlation_id)


def _keep(reading: Reading, source: Source, outcome: Outcome, **found: Any) -> ReportReading:
    kept = ReportReading.objects.create(
        reading=reading, report=source.report, version=source.version, outcome=outcome, read_at=now(), **found
    )
    counted = {name: getattr(kept, name) for name in _COUNTED if getattr(kept, name) is not None}
    actor = reader_of(reading)
    data = {"report": source.report, "version": source.version, "outcome": outcome.value, **counted}
    record(events.REPORT_READ, actor=actor, subjects=[subject_of(reading)], data=data)
    if not to_read(reading):
        unreadable = reading.report_readings.filter(outcome=Outcome.UNREADABLE).count()
        data = {"reports": len(reading.reports), "unreadable": unreadable}
        record(events.READING_FINISHED, actor=actor, subjects=[subject_of(reading)], data=data)
    return kept


def _record_turn(reading: Reading, report: str, turn: Turn, event: str) -> None:
    given = {"reading": reading.pk, "report": report, "turn": turn.value}
    record_selected(event, _TURNED, given, actor=reader_of(reading))


def _parameters(reading: Reading, source: Source) -> dict[str, Any]:
    return {
        **source.parameters,
        "reading_id": reading.pk,
        "reading_report": source.report,
        "reading_known_at": reading.known_at,
        "reading_first_day": reading.first_day,
        "reading_lasting": source.lasting,
        "reading_unseen": list(reading.unseen) if source.rests_on_sources else [],
    }


def _statement(source: Source) -> str:
    application = f"every.{source.application}" if source.application else "NULL::text"
    person = f"every.{source.person}" if source.person else "NULL::text"
    return _TAKE_IN.replace("/*sql*/", source.sql).replace("/*application*/", application).replace("/*person*/", person)


#: The exceptions that turned in one way in one report of a reading, as entries say it.
_TURNED = f"""
SELECT {subjects_sql(("exception", "one.ref"), ("control_reading", "reading.ref"))} AS subjects,
    json_build_object('report', one.report, 'row', one.row_id, 'codes', one.codes)::text AS data
FROM exceptions_controlexception AS one
JOIN exceptions_reading AS reading ON reading.id = one.turned_by_id
WHERE one.turned_by_id = %(reading)s AND one.report = %(report)s AND one.turn = %(turn)s
ORDER BY one.id"""  # noqa: S608 - constants of the code
#: What the statement counts, in its order.
_COUNTED = ("rows", "exceptions", "opened", "reopened", "changed", "gone")
#: The parts see the table as it was before all of them; each exception is in at most one.
_TAKE_IN = """
WITH every AS MATERIALIZED (
    SELECT every.row_id, every.exceptions, /*application*/ AS application, /*person*/ AS person_ref,
        every.first_entry::bigint AS first_entry, every.last_entry::bigint AS last_entry
    FROM (
/*sql*/
) AS every
),
found AS MATERIALIZED (
    SELECT DISTINCT ON (every.row_id) every.row_id, every.exceptions AS codes, application.id AS application_id,
        person.id AS person_id, every.first_entry, every.last_entry
    FROM every
    LEFT JOIN catalog_application AS application ON application.slug = every.application
    LEFT JOIN identity_person AS person ON person.ref::text = every.person_ref
    WHERE every.exceptions IS NOT NULL
    ORDER BY every.row_id
),
known AS MATERIALIZED (
    SELECT one.id, one.row_id, one.codes, one.gone_at, one.period_first, one.application_id
    FROM exceptions_controlexception AS one WHERE one.report = %(reading_report)s
),
opened AS (
    INSERT INTO exceptions_controlexception (
        ref, report, row_id, codes, application_id, person_id, first_entry, last_entry, period_first, first_seen_at,
        open_since, turn, turned_by_id, explanation, statements_made
    )
    SELECT gen_random_uuid(), %(reading_report)s, found.row_id, found.codes, found.application_id, found.person_id,
        found.first_entry, found.last_entry, %(reading_first_day)s, %(reading_known_at)s, %(reading_known_at)s,
        'opened', %(reading_id)s, '', 0
    FROM found WHERE NOT EXISTS (SELECT FROM known WHERE known.row_id = found.row_id)
    ORDER BY found.row_id
    RETURNING 1
),
turned AS (
    UPDATE exceptions_controlexception AS one SET
        codes = found.codes, first_entry = found.first_entry, last_entry = found.last_entry,
        period_first = greatest(one.period_first, %(reading_first_day)s), gone_at = NULL, turned_by_id = %(reading_id)s,
        open_since = CASE WHEN known.gone_at IS NULL THEN one.open_since ELSE %(reading_known_at)s END,
        turn = CASE WHEN known.gone_at IS NULL THEN 'changed' ELSE 'reopened' END
    FROM found JOIN known ON known.row_id = found.row_id
    WHERE one.id = known.id AND (known.gone_at IS NOT NULL OR known.codes <> found.codes)
    RETURNING one.turn
),
carried AS (
    UPDATE exceptions_controlexception AS one SET period_first = %(reading_first_day)s
    FROM found JOIN known ON known.row_id = found.row_id
    WHERE one.id = known.id AND known.gone_at IS NULL AND known.codes = found.codes
        AND known.period_first < %(reading_first_day)s
),
gone AS (
    UPDATE exceptions_controlexception AS one SET
        gone_at = %(reading_known_at)s, turn = 'gone', turned_by_id = %(reading_id)s
    FROM known
    LEFT JOIN catalog_application AS application ON application.id = known.application_id
    WHERE one.id = known.id AND known.gone_at IS NULL
        AND NOT EXISTS (SELECT FROM found WHERE found.row_id = known.row_id)
        AND (known.period_first = %(reading_first_day)s
            OR known.period_first < %(reading_first_day)s AND known.row_id LIKE %(reading_lasting)s)
        AND coalesce(application.slug <> ALL (%(reading_unseen)s::text[]), true)
    RETURNING 1
)
SELECT (SELECT count(*) FROM every), (SELECT count(*) FROM found), (SELECT count(*) FROM opened),
    (SELECT count(*) FROM turned WHERE turn = 'reopened'), (SELECT count(*) FROM turned WHERE turn = 'changed'),
    (SELECT count(*) FROM gone)
"""
