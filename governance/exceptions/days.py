"""The organisation's days: fix-by dates and acceptances end with them, and quarters are made of them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings


def company_zone() -> str:
    """Return the zone of the organisation."""
    return str(settings.ENVIRONMENT.company_zone)


def day_of(at: datetime) -> date:
    """Return the organisation's day at an instant."""
    return at.astimezone(ZoneInfo(company_zone())).date()


def quarter_of(day: date) -> tuple[date, date]:
    """Return the first and the last day of the calendar quarter a day is in."""
    first = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    beyond = date(first.year + first.month // 10, (first.month + 2) % 12 + 1, 1)
    return first, beyond - timedelta(days=1)
