"""How instants and lengths of time are written on pages: short, in the reader's zone, never relative alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.utils import timezone

from governance.core.clock import is_open_ended


def short_length(span: timedelta) -> str:
    """Return a length for narrow places: `18 min`, `2 h 12`, `3 d 4 h`. Seconds are cut off, never rounded up."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {rest:02d}" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"


def moment(at: datetime, now: datetime) -> str:
    """Return an instant in words, in the current zone: `today at 16:24`, `Mon 23 Nov at 16:24`, `3 Mar 2025 at 16:24`.

    An open end reads `no end`.
    """
    if is_open_ended(at):
        return "no end"
    local, today = timezone.localtime(at), timezone.localtime(now).date()
    return f"{day(local.date(), today)} at {local:%H:%M}"


def day(then: date, today: date) -> str:
    """Return a day in words: `today`, `tomorrow`, `yesterday`, `Mon 23 Nov`, and with the year outside of this one."""
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}.get((then - today).days)
    if near:
        return near
    if then.year == today.year:
        return f"{then:%a} {then.day} {then:%b}"
    return f"{then.day} {then:%b} {then.year}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago `at` was: `just now`, `6 min ago`, `2 h 12 ago`, `3 d ago`."""
    span = now - at
    return "just now" if span < timedelta(minutes=1) else f"{short_length(span)} ago"


def exact(at: datetime) -> str:
    """Return an instant for the title of a shorter text: the local time with its zone, and ISO 8601 in UTC."""
    local = timezone.localtime(at)
    utc = timezone.localtime(at, timezone.get_default_timezone())
    return f"{local.day} {local:%b %Y, %H:%M:%S} {local:%Z} ({utc:%Y-%m-%dT%H:%M:%SZ})"
