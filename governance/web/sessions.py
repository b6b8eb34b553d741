"""How long a sign-in lasts: from a start, to an end that can be put off, unless somebody ends it before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from governance.identity.freshness import CONFIRMED, FRESH, is_fresh_session

__all__ = ["FRESH"]

_ENDS = "ends_at"


def begin(request: HttpRequest, now: datetime) -> None:
    """Note that the password was just given, and when the session ends."""
    confirm(request, now)
    prolong(request, now)


def confirm(request: HttpRequest, now: datetime) -> None:
    """Note that the person has just given their password."""
    request.session[CONFIRMED] = now.timestamp()


def is_fresh(request: HttpRequest, now: datetime) -> bool:
    """Tell whether the password was given a short time ago, as deciding about powerful access asks for."""
    return is_fresh_session(request.session, now)


def confirm_address(come_back: str) -> str:
    """Return where the password is given again, before one goes on at the address `come_back`."""
    return f"{reverse('account_reauthenticate')}?{urlencode({'next': come_back})}"


def prolong(request: HttpRequest, now: datetime) -> int:
    """Put off the end, and return for how many seconds the session lasts from now."""
    seconds: int = settings.SESSION_COOKIE_AGE
    request.session[_ENDS] = (now + timedelta(seconds=seconds)).timestamp()
    return seconds


def seconds_left(request: HttpRequest, now: datetime) -> int:
    """Return for how many seconds this session still lasts."""
    ends_at = request.session.get(_ENDS)
    return settings.SESSION_COOKIE_AGE if ends_at is None else max(0, int(ends_at - now.timestamp()))


def has_ended(request: HttpRequest, now: datetime) -> bool:
    """Tell whether this session is over by time. (Those of a leaver end with `Person.sessions_end_at`.)"""
    return seconds_left(request, now) == 0


def _instant(stamp: float | None) -> datetime | None:
    return None if stamp is None else datetime.fromtimestamp(stamp, UTC)
