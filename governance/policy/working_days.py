"""Working days: Monday to Friday in the company's zone, without its holidays."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


def one_working_day_after(moment: datetime, *, zone: ZoneInfo, holidays: Collection[date] = ()) -> datetime:
    """Return the instant one working day later: the same clock time on the next working day.

    What happens on a free day counts from the midnight that begins the next working day, so it is due when that day
    has passed, which may again lie on a working day's beginning.
    """
    local = moment.astimezone(zone)
    day, time = local.date(), local.time()
    if not is_working_day(day, holidays):
        day, time = _next_working_day(day, holidays), datetime.min.time()
    due = _next_working_day(day, holidays)
    return datetime.combine(due, time, zone).astimezone(moment.tzinfo)


def is_working_day(day: date, holidays: Collection[date] = ()) -> bool:
    """Tell whether the company works on a day."""
    return day.weekday() < 5 and day not in holidays


def _next_working_day(day: date, holidays: Collection[date]) -> date:
    day += timedelta(days=1)
    while not is_working_day(day, holidays):
        day += timedelta(days=1)
    return day
