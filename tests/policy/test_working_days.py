"""One working day later is said in the company's zone, and free days do not count."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.policy.working_days import is_working_day, one_working_day_after

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        (berlin(3, 15), berlin(4, 15)),
        (berlin(6, 23, 30), berlin(9, 23, 30)),
        (berlin(7, 10), berlin(10, 0)),
        (berlin(8, 23, 59), berlin(10, 0)),
        (berlin(27, 12), berlin(30, 12)),
    ],
    ids=["Tuesday", "Friday late", "Saturday", "Sunday late", "over the change of the clock"],
)
def test_it_is_the_same_clock_time_on_the_next_working_day(opened: datetime, due: datetime) -> None:
    assert one_working_day_after(opened.astimezone(UTC), zone=BERLIN) == due


def test_holidays_do_not_count() -> None:
    opened = berlin(24, 16, month=12)

    due = one_working_day_after(opened, zone=BERLIN, holidays={date(2026, 12, 25), date(2026, 12, 28)})

    assert due == berlin(29, 16, month=12)


@given(st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2040-01-01"), timezones=st.just(UTC)))
def test_it_is_always_a_later_instant_within_four_days_on_a_working_day_or_its_midnight(opened: datetime) -> None:
    due = one_working_day_after(opened, zone=BERLIN)

    assert opened < due
    assert (due - opened).total_seconds() <= 4 * 86400
    assert is_working_day(due.astimezone(BERLIN).date())
