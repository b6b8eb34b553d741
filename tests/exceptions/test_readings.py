"""The life of an exception across readings: opened, still there, gone, back again; and what could not be read."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django.db.models import Count
from psycopg.errors import QueryCanceled

from governance.core.errors import Conflict, NotAllowed
from governance.evidence import continuous
from governance.evidence.reports.registry import REPORTS
from governance.exceptions import readings
from governance.exceptions.models import ControlException, Outcome, Reading, ReportReading, Turn
from governance.identity.models import Person
from governance.ledger.models import Entry
from governance.provisioning.models import SyncRun
from tests.cast import acting
from tests.evidence.conftest import World, day
from tests.exceptions.conftest import Read, only

TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = (day(3, number, 9) for number in (3, 4, 5, 6))
APRIL = day(4, 2, 9)


def in_report(reading: Reading, report: str = "R01") -> ReportReading:
    return ReportReading.objects.get(reading=reading, report=report)


def test_an_exception_is_opened_stays_goes_and_comes_back(world: World, read: Read) -> None:
    seen = world.see("ada", "snowflake/analyst", day(3, 1))

    (first,) = read(TUESDAY)
    opened = only("R01")
    (second,) = read(WEDNESDAY)
    kept = only("R01")
    seen.gone_at = day(3, 4, 12)
    seen.save()
    (third,) = read(THURSDAY)
    gone = only("R01")
    seen.gone_at = None
    seen.save()
    (fourth,) = read(FRIDAY)
    back = only("R01")

    assert (opened.codes, opened.turn, opened.turned_by) == ("not_granted", Turn.OPENED, first)
    assert (opened.first_seen_at, opened.open_since) == (TUESDAY, TUESDAY)
    assert (opened.person, opened.application) == (world.person("ada"), world.role("snowflake/analyst").application)
    assert (kept.turn, kept.turned_by, kept.gone_at) == (Turn.OPENED, first, None)
    assert (gone.turn, gone.gone_at, gone.turned_by) == (Turn.GONE, THURSDAY, third)
    assert (back.turn, back.gone_at, back.open_since, back.first_seen_at) == (Turn.REOPENED, None, FRIDAY, TUESDAY)
    told = [in_report(one) for one in (first, second, third, fourth)]
    assert [(one.rows, one.exceptions, one.opened, one.reopened, one.gone) for one in told] == [
        (1, 1, 1, 0, 0),
        (1, 1, 0, 0, 0),
        (1, 0, 0, 0, 1),
        (1, 1, 0, 1, 0),
    ]
    events = Entry.objects.filter(event__startswith="exception.", subjects__ref=str(back.ref)).order_by("index")
    assert list(events.values_list("event", flat=True)) == [
        "exception.opened",
        "exception.gone",
        "exception.reopened",
    ]
    assert '"report":"R01"' in events[0].body


def test_what_there_is_to_look_at_may_change(world: World, read: Read) -> None:
    world.see("ada", "snowflake/analyst", day(3, 1))
    read(TUESDAY)
    world.revise("ada", "left", day(3, 3, 12))

    (reading,) = read(WEDNESDAY)

    found = only("R01")
    assert (found.codes, found.turn, found.open_since) == ("not_granted person_has_left", Turn.CHANGED, TUESDAY)
    assert (in_report(reading).changed, in_report(reading).opened) == (1, 0)


def test_a_report_that_takes_too_long_is_said_to_be_unreadable_and_nothing_is_gone(
    world: World, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = world.see("ada", "snowflake/analyst", day(3, 1))
    read(TUESDAY)
    seen.gone_at = day(3, 3, 12)
    seen.save()
    monkeypatch.setattr(readings, "take_in", _too_long_in("R01"))

    (reading,) = read(WEDNESDAY)

    unread = in_report(reading)
    assert (unread.outcome, unread.rows, unread.exceptions) == (Outcome.UNREADABLE, None, None)
    assert unread.why == "It took longer than 10 minutes."
    assert only("R01").gone_at is None
    assert reading.report_readings.exclude(report="R01").filter(outcome=Outcome.UNREADABLE).count() == 0
    assert reading.report_readings.count() == len(reading.reports)


def _too_long_in(report: str) -> Any:
    real = readings.take_in

    def take_in(reading: Reading, source: readings.Source, **known: Any) -> ReportReading:
        if source.report == report:
            raise OperationalError("canceling statement") from QueryCanceled()
        return real(reading, source, **known)

    return take_in


def test_the_time_limit_is_one_of_the_database(world: World, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuous, "MOST_MILLISECONDS", 1)
    slow = "SELECT pg_sleep(1), '' AS row_id, NULL AS exceptions, NULL AS first_entry, NULL AS last_entry"
    real = continuous.source_of
    monkeypatch.setattr(continuous, "source_of", lambda *known: _with(real(*known), sql=slow))

    (reading,) = read(TUESDAY)

    assert set(reading.report_readings.values_list("outcome", flat=True)) == {Outcome.UNREADABLE}


def _with(source: readings.Source, **changes: Any) -> readings.Source:
    return readings.Source(
        **{name: getattr(source, name) for name in source.__slots__} | {"application": None, "person": None} | changes
    )


def test_what_an_unread_application_shows_no_more_is_not_gone(world: World, read: Read) -> None:
    seen = world.see("ada", "snowflake/analyst", day(3, 1))
    world.connect("snowflake")
    run = SyncRun(application=seen.entitlement.application, started_at=day(3, 3, 8), is_complete=True)
    run.finished_at = day(3, 3, 8)
    run.save()
    read(TUESDAY)
    seen.gone_at = day(3, 3, 12)
    seen.save()

    (stale,) = read(THURSDAY)
    kept = only("R01")
    SyncRun.objects.create(
        application=seen.entitlement.application, started_at=day(3, 6, 8), finished_at=day(3, 6, 8), is_complete=True
    )
    read(FRIDAY)

    assert (stale.unseen, in_report(stale).outcome, in_report(stale).unseen) == (
        ["snowflake"],
        Outcome.PARTLY,
        ["snowflake"],
    )
    assert in_report(stale, "R03").outcome == Outcome.READ
    assert kept.gone_at is None
    assert only("R01").gone_at == FRIDAY


def test_a_reading_whose_worker_was_killed_goes_on_and_counts_nothing_twice(
    world: World, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.see("ada", "snowflake/analyst", day(3, 1))
    real = readings.take_in

    def killed(reading: Reading, source: readings.Source, **known: Any) -> ReportReading:
        if source.report == "R07":
            raise KeyboardInterrupt
        return real(reading, source, **known)

    monkeypatch.setattr(readings, "take_in", killed)
    with pytest.raises(KeyboardInterrupt):
        read(TUESDAY)
    (cut_off,) = readings.unfinished()
    done = set(cut_off.report_readings.values_list("report", flat=True))
    monkeypatch.setattr(readings, "take_in", real)
    assert read(WEDNESDAY.replace(hour=0)) == []

    finished = Reading.objects.get()
    assert "R01" in done
    assert "R07" not in done
    assert finished.known_at == TUESDAY
    assert finished.report_readings.count() == len(finished.reports)
    assert (in_report(finished).opened, ControlException.objects.filter(report="R01").count()) == (1, 1)
    assert Entry.objects.filter(event="control_reading.finished").count() == 1
    assert Entry.objects.filter(event="exception.opened", body__contains='"report":"R01"').count() == 1


def test_a_report_that_kills_its_reader_each_time_is_given_up(
    world: World, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: Any, **known: Any) -> ReportReading:
        raise KeyboardInterrupt

    monkeypatch.setattr(readings, "take_in", killed)
    monkeypatch.setattr(continuous, "reports_read", lambda: (continuous.BY_ID["R01"],))
    for _ in range(readings.MOST_ATTEMPTS):
        with pytest.raises(KeyboardInterrupt):
            read(TUESDAY)
    read(TUESDAY)

    assert in_report(Reading.objects.get()).why == "Reading it was cut off each time it was tried."


def test_every_report_that_can_have_exceptions_can_be_taken_in(
    world: World, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [report for report in REPORTS if report.exceptions]
    monkeypatch.setattr(continuous, "reports_read", lambda: tuple(wanted))
    world.see("ada", "snowflake/analyst", day(3, 1))
    world.grant("bob", "snowflake/analyst", day(3, 2))

    (reading,) = read(TUESDAY)

    counted = {one.report: (one.outcome, one.exceptions) for one in reading.report_readings.all()}
    assert list(counted) == [report.id for report in wanted]
    assert {outcome for outcome, _ in counted.values()} == {Outcome.READ}
    kept = ControlException.objects.values_list("report").annotate(number=Count("pk"))
    assert dict(kept) == {report: number for report, (_, number) in counted.items() if number}
    assert counted["R03"] == (Outcome.READ, 1)


def test_it_is_read_once_a_day_from_two_in_the_morning_in_the_companys_zone(world: World, read: Read) -> None:
    assert read(day(3, 3, 1, 59)) == []
    (reading,) = read(day(3, 3, 2))
    assert read(day(3, 3, 23)) == []

    assert (reading.first_day, reading.last_day, reading.zone) == (day(1, 1).date(), day(3, 3).date(), "UTC")
    assert reading.known_at == day(3, 3, 2)


def test_the_quarter_before_is_read_once_more_when_it_is_over(world: World, read: Read) -> None:
    world.grant("ada", "snowflake/analyst", day(3, 2))
    world.see("bob", "snowflake/analyst", day(3, 1)).save()
    read(TUESDAY)
    lasting, past = only("R01"), only("R03")

    before, running = read(APRIL)

    assert (before.first_day, before.last_day) == (day(1, 1).date(), day(3, 31).date())
    assert (running.first_day, running.last_day) == (day(4, 1).date(), day(4, 2).date())
    lasting.refresh_from_db()
    past.refresh_from_db()
    assert (lasting.gone_at, lasting.period_first) == (None, running.first_day)
    # The window of the new quarter cannot show it: that it is not found there says nothing.
    assert (past.gone_at, past.period_first) == (None, before.first_day)
    assert [one.first_day for one in read(day(4, 3, 9))] == [running.first_day]


def test_security_has_it_read_again_and_nobody_else(
    world: World, read: Read, sam: Person, audrey: Person, ada: Person
) -> None:
    for person in (audrey, ada):
        with pytest.raises(NotAllowed):
            continuous.ask_for_reading(actor=acting(person))
    with time_machine.travel(TUESDAY.replace(hour=1), tick=False):
        asked = continuous.ask_for_reading(actor=acting(sam))
        with pytest.raises(Conflict):
            continuous.ask_for_reading(actor=acting(sam))

    read(TUESDAY.replace(hour=1))

    assert asked.report_readings.count() == len(asked.reports)
    assert (asked.asked_by_ref, asked.turn_of) == (str(sam.ref), None)
    begun = Entry.objects.get(event="control_reading.begun")
    assert begun.actor_ref == str(sam.ref)


def test_no_reading_begins_while_the_log_lags_behind(
    world: World, read: Read, sam: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous, "sealing_lag_seconds", lambda: 61.0)

    assert read(TUESDAY) == []
    with time_machine.travel(TUESDAY, tick=False), pytest.raises(Conflict, match="not sealed yet"):
        continuous.ask_for_reading(actor=acting(sam))


def test_readings_are_no_changes_past_gatehouse(read: Read, world: World) -> None:
    world.see("ada", "snowflake/analyst", day(3, 1))
    before = Entry.objects.count()
    read(TUESDAY)
    captured = Entry.objects.filter(index__gte=before, event__startswith="rows.", body__contains="exceptions_")
    mine = set(captured.values_list("transaction", flat=True))

    said = set(
        Entry.objects.filter(transaction__in=mine)
        .exclude(event__startswith="rows.")
        .values_list("transaction", flat=True)
    )

    assert mine
    assert said == mine
