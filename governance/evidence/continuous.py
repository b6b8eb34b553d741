"""The continuous view: once a day, and when somebody asks, every report that can have exceptions is read over the
running quarter, so that the auditor's quarter holds no surprise. What it finds lives in the room of exceptions.

All reports of a reading see the same cut: one instant and one size of the ledger. Each is read in a transaction of its
own; a reading whose worker was killed goes on with the reports that are missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import DatabaseError, OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.core.errors import Conflict, NotAllowed
from governance.core.wakeup import wake
from governance.evidence import queries
from governance.evidence.actions import FRESHNESS_HOURS, LEAVER_SLA_HOURS
from governance.evidence.periods import Period
from governance.evidence.questions import Question
from governance.evidence.reading import within_patience
from governance.evidence.reports.base import ROW_NO, Report
from governance.evidence.reports.registry import BY_ID, REPORTS
from governance.exceptions import readings
from governance.exceptions.days import company_zone, day_of, quarter_of
from governance.exceptions.models import ControlException, Outcome, Reading
from governance.exceptions.readings import Cut, Source
from governance.exceptions.rights import is_security
from governance.ledger.queries import sealing_lag_seconds

logger = logging.getLogger(__name__)

READ_DUE = "evidence.read_controls"
#: The hour of the organisation's day from which the daily reading is due: when little else is going on.
HOUR = 2
#: A report of a large installation takes a minute or two; behind this it is said to be unreadable.
MOST_MILLISECONDS = 600_000
#: A reading waits while what was recorded longer ago is not sealed: its cut would not hold it.
MOST_LAG_SECONDS = 60
#: A page that shows one row waits for so long.
PATIENCE_MILLISECONDS = 3_000
#: PostgreSQL advisory lock of whoever reads: the bytes "ctrl".
LOCK = int.from_bytes(b"ctrl")
#: Reports of what is still there: in a later period they show again what is not settled, so what they show no more is
#: gone. Told by the row id (SQL pattern). What others show of a period, only a reading of that period can miss.
LASTING = {"R01": "%", "R02": "%", "R07": "%", "R10": "conflict:%", "R14": "%", "R15": "%", "R19": "%"}
#: Reports that rest on what was read in the applications.
REST_ON_SOURCES = frozenset({"R01", "R02", "R05", "R07", "R10", "R14", "R15", "R23"})
#: Gaps because of which something may seem to be gone that nobody could see.
_BLIND = frozenset({"never_read", "stale"})
#: Exceptions do not depend on the framework; a question has one.
_ANY_FRAMEWORK = "soc2"


def reports_read() -> tuple[Report, ...]:
    """Return the reports that can have exceptions, in their order."""
    return tuple(report for report in REPORTS if report.exceptions)


def ask_for_reading(*, actor: Actor) -> Reading:
    """Have everything read again now, over the running quarter.

    Raises Conflict while a reading is under way or the log lags behind, and NotAllowed for whoever does not administer
    security.
    """
    if not is_security(actor):
        raise NotAllowed("Readings are asked for by security administrators.")
    with transaction.atomic():
        # Two who ask at once: the second waits here, and then finds the first one's reading.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 1)", [LOCK])
        if readings.unfinished():
            raise Conflict("A reading is under way. Its result will be here in a moment.")
        if sealing_lag_seconds() > MOST_LAG_SECONDS:
            raise Conflict("The log has not sealed yet what was recorded before. Ask again in a moment.")
        reading = _begin(*quarter_of(day_of(now())), at=now(), turn_of=None, actor=actor)
        assert reading is not None  # only the daily one may be there already
        wake(READ_DUE)
    return reading


def read_due() -> int:
    """Begin what is due and read on where a reading stands; return how many reports were taken in.

    One caller at a time does so, the others return at once. Call outside of a transaction.
    """
    with _turn() as is_ours:
        if not is_ours:
            return 0
        _begin_due(now())
        return sum(_read_on(reading) for reading in readings.unfinished())


def _begin_due(at: datetime) -> None:
    """Begin the daily reading, once its hour has come; the quarter before gets one more, after its end."""
    today = day_of(at)
    is_early = at < datetime.combine(today, time(HOUR), ZoneInfo(company_zone()))
    if is_early or sealing_lag_seconds() > MOST_LAG_SECONDS:
        return
    actor = Actor.system("evidence", door=Door.CLOCK)
    first, last = quarter_of(today)
    before = quarter_of(first - timedelta(days=1))
    if _wants_a_last_reading(*before):
        _begin(*before, at=at, turn_of=today, actor=actor)
    if not Reading.objects.filter(first_day=first, turn_of=today).exists():
        _begin(first, last, at=at, turn_of=today, actor=actor)


def _wants_a_last_reading(first: date, last: date) -> bool:
    """Tell whether a quarter that is over was read, and not since it was over."""
    ended_at = Period(first, last, company_zone()).ends_at
    read = Reading.objects.filter(first_day=first)
    return read.exists() and not read.filter(known_at__gte=ended_at).exists()


def _begin(first: date, last: date, *, at: datetime, turn_of: date | None, actor: Actor) -> Reading | None:
    until = min(last, day_of(at))
    question = queries.question_of(_ANY_FRAMEWORK, first=first, last=until, zone=company_zone(), at=at)
    unseen = {gap.application for gap in queries.gaps_of(question) if gap.code in _BLIND}
    cut = Cut(first, until, company_zone(), question.known_at, question.ledger_size)
    reports = [report.id for report in reports_read()]
    return readings.begin(cut, reports=reports, unseen=unseen, turn_of=turn_of, actor=actor)


def _read_on(reading: Reading) -> int:
    question = question_of_reading(reading)
    taken = 0
    for report_id in readings.to_read(reading):
        _read(reading, source_of(BY_ID[report_id], question))
        taken += 1
    return taken


def _read(reading: Reading, source: Source) -> None:
    """Take in one report, or say why it could not be read. Whatever one report does, the others are read."""
    if not readings.has_attempts_left(reading, source.report):
        readings.say_unreadable(reading, source, "Reading it was cut off each time it was tried.")
        return
    try:
        readings.take_in(reading, source, timeout_milliseconds=MOST_MILLISECONDS)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        readings.say_unreadable(reading, source, f"It took longer than {MOST_MILLISECONDS // 60_000} minutes.")
    except DatabaseError:
        logger.exception("%s could not be read.", source.report)
        readings.say_unreadable(reading, source, "The database refused its query.")


def question_of_reading(reading: Reading) -> Question:
    """Return what a reading asks of each report."""
    return Question(
        framework=_ANY_FRAMEWORK,
        period=Period(reading.first_day, reading.last_day, reading.zone),
        known_at=reading.known_at,
        ledger_size=reading.ledger_size,
        leaver_sla_hours=LEAVER_SLA_HOURS,
        freshness_hours=FRESHNESS_HOURS,
    )


def source_of(report: Report, question: Question) -> Source:
    """Return a report as a reading needs it."""
    return Source(
        report=report.id,
        version=report.version,
        sql=report.sql,
        parameters=question.parameters(),
        application=report.system if report.is_by_application else None,
        person=report.person,
        lasting=LASTING.get(report.id),
        rests_on_sources=report.id in REST_ON_SOURCES,
    )


def row_of(found: ControlException) -> dict[str, str] | None:
    """Return the row of the report that an exception is, as the reading that found it last saw it.

    None when reading it takes longer than a page waits, or the report is no more; an empty one when it shows it no
    more: what its cut does not hold may have changed since.
    """
    reading, report = _last_sight_of(found), BY_ID.get(found.report)
    if reading is None or report is None:
        return None
    parameters = {**question_of_reading(reading).parameters(), "wanted": found.row_id}
    statement = f"SELECT * FROM (\n{report.sql}) AS every WHERE every.row_id = %(wanted)s LIMIT 1"
    rows = within_patience(statement, parameters, PATIENCE_MILLISECONDS)
    if rows is None:
        return None
    return {
        name: str(cell)
        for row in rows
        for name, cell in zip(report.header, row, strict=True)
        if cell is not None and name != ROW_NO.name
    }


def _last_sight_of(found: ControlException) -> Reading | None:
    """Return the last reading in which an exception was found."""
    read = Reading.objects.filter(
        report_readings__report=found.report, report_readings__outcome__in=(Outcome.READ, Outcome.PARTLY)
    )
    if found.gone_at is not None:
        return read.filter(id__lt=found.turned_by_id, first_day__lte=found.period_first).order_by("-id").first()
    return read.filter(first_day=found.period_first).order_by("-id").first()


@contextmanager
def _turn() -> Iterator[bool]:
    """Be the only one who reads: a lock of this database session, which a killed process loses with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [LOCK])
        (is_ours,) = cursor.fetchone()
    try:
        yield is_ours
    finally:
        if is_ours and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [LOCK])
