"""The stretch of time a bundle is about: civil days in a zone, from which two instants follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from governance.core.errors import Invalid

#: The step of our clocks and of PostgreSQL's. "Just before" an instant is one step earlier.
TICK = timedelta(microseconds=1)
LONGEST = timedelta(days=366 * 10)


@dataclass(frozen=True, slots=True)
class Period:
    """The days `first` to `last`, both included, in a zone: the half-open interval [starts_at, ends_at) in UTC."""

    first: date
    last: date
    zone: str

    @property
    def starts_at(self) -> datetime:
        """Return the instant the first day begins, in UTC."""
        return _midnight(self.first, self.zone)

    @property
    def ends_at(self) -> datetime:
        """Return the instant the day after the last begins, in UTC. It is no longer part of the period."""
        return _midnight(self.last + timedelta(days=1), self.zone)

    def as_of(self, known_at: datetime) -> datetime:
        """Return the last instant of the period, or the knowledge cut when the period was not over then."""
        return min(self.ends_at - TICK, known_at)

    def is_over(self, known_at: datetime) -> bool:
        """Tell whether everything effective in the period lay before the knowledge cut."""
        return self.ends_at <= known_at


def period(first: object, last: object, zone: str, *, now: datetime) -> Period:
    """Return the checked period.

    Raises Invalid naming `from`, `to` or `zone`: no ISO date, unknown zone, reversed, in the future, over ten years.
    """
    problems: dict[str, str] = {}
    begins, ends = _day(first, "from", problems), _day(last, "to", problems)
    if zone not in _zones():
        problems["zone"] = f"{zone!r} is not a time zone. Use a name like Europe/Berlin or UTC."
    if begins and ends and not problems:
        problems |= _order_problems(begins, ends, today=now.astimezone(ZoneInfo(zone)).date())
    if problems or begins is None or ends is None:
        raise Invalid(problems)
    return Period(begins, ends, zone)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _order_problems(begins: date, ends: date, *, today: date) -> dict[str, str]:
    if begins > today:
        return {"from": f"{begins} lies in the future; today is {today}."}
    if ends > today:
        return {"to": f"{ends} lies in the future; the last possible day is today, {today}."}
    if ends < begins:
        return {"to": f"The last day, {ends}, lies before the first, {begins}."}
    if ends - begins > LONGEST:
        return {"from": "A bundle covers at most ten years."}
    return {}


def _day(value: object, name: str, problems: dict[str, str]) -> date | None:
    if isinstance(value, date):
        return value
    try:
        day = date.fromisoformat(str(value).strip())
    except ValueError:
        problems[name] = f"{value!r} is not a date. Write it as YYYY-MM-DD."
        return None
    if day.year < 1970:
        problems[name] = f"{day} is before 1970."
        return None
    return day


def _midnight(day: date, zone: str) -> datetime:
    """Return the first instant of a civil day.

    Where midnight does not exist (clocks jump over it), the day begins when the clocks land: the local time before
    the jump, read with the old offset, is that very instant.
    """
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
