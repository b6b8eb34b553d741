"""The stretch of time a bundle is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from governance.core.errors import Invalid
from governance.evidence.periods import Period, period

NOW = datetime(2026, 11, 25, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "zone", "starts_at", "ends_at"),
    [
        ("2026-01-01", "2026-01-31", "UTC", "2026-01-01T00:00Z", "2026-02-01T00:00Z"),
        ("2026-03-29", "2026-03-29", "Europe/Berlin", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("2026-10-25", "2026-10-25", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("2017-10-15", "2017-10-15", "America/Sao_Paulo", "2017-10-15T03:00Z", "2017-10-16T02:00Z"),
        ("2011-12-29", "2011-12-31", "Pacific/Apia", "2011-12-29T10:00Z", "2011-12-31T10:00Z"),
    ],
    ids=["UTC", "spring forward: 23 hours", "fall back: 25 hours", "midnight does not exist", "a day does not exist"],
)
def test_civil_days_become_a_half_open_interval(first: str, last: str, zone: str, starts_at: str, ends_at: str) -> None:
    days = period(first, last, zone, now=NOW)

    assert (days.starts_at, days.ends_at) == (datetime.fromisoformat(starts_at), datetime.fromisoformat(ends_at))


@pytest.mark.parametrize(
    ("first", "last", "zone", "named"),
    [
        ("2026-02-30", "2026-03-01", "UTC", "from"),
        ("yesterday", "2026-03-01", "UTC", "from"),
        ("1066-10-14", "2026-03-01", "UTC", "from"),
        ("2026-03-02", "2026-03-01", "UTC", "to"),
        ("2026-11-01", "2026-11-26", "UTC", "to"),
        ("2026-11-26", "2026-11-27", "UTC", "from"),
        ("2010-01-01", "2026-01-01", "UTC", "from"),
        ("2026-01-01", "", "UTC", "to"),
        ("2026-01-01", "2026-01-02", "Mars/Olympus", "zone"),
        ("2026-01-01", "2026-01-02", "../../etc/passwd", "zone"),
    ],
)
def test_a_wrong_period_is_refused_by_the_name_of_the_field(first: str, last: str, zone: str, named: str) -> None:
    with pytest.raises(Invalid) as refused:
        period(first, last, zone, now=NOW)

    assert set(refused.value.fields) == {named}


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        period("x", "y", "z", now=NOW)

    assert set(refused.value.fields) == {"from", "to", "zone"}


def test_today_is_possible_and_today_is_a_matter_of_zone() -> None:
    late = datetime(2026, 11, 25, 23, 30, tzinfo=UTC)

    assert period("2026-11-26", "2026-11-26", "Europe/Berlin", now=late).last == date(2026, 11, 26)
    with pytest.raises(Invalid):
        period("2026-11-26", "2026-11-26", "UTC", now=late)


def test_a_period_that_is_not_over_is_read_up_to_the_knowledge_cut() -> None:
    days = Period(date(2026, 11, 1), date(2026, 11, 25), "UTC")

    assert days.as_of(NOW) == NOW
    assert not days.is_over(NOW)
    assert days.as_of(NOW + timedelta(days=9)) == datetime(2026, 11, 25, 23, 59, 59, 999999, tzinfo=UTC)
    assert days.is_over(NOW + timedelta(days=9))
