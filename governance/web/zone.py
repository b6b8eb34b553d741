"""The time zone of the reader: what the browser says, else what the directory says, else UTC."""

from __future__ import annotations

from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest

COOKIE = "zone"
UTC = ZoneInfo("UTC")


def zone_of(request: HttpRequest) -> ZoneInfo:
    """Return the zone in which this reader wants to read clock times. Unknown names are ignored."""
    said = unquote(request.COOKIES.get(COOKIE, ""))
    if said in _names():
        return ZoneInfo(said)
    told = request.user.time_zone if request.user.is_authenticated else ""
    return ZoneInfo(told) if told in _names() else UTC


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())
