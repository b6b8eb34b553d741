"""How somebody likes to read the pages: theme and single keys, kept in cookies so that the first byte already knows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

THEMES = ("auto", "light", "dark")
_YEAR = 365 * 24 * 60 * 60


def theme_of(request: HttpRequest) -> str:
    """Return `auto`, `light` or `dark`."""
    said = request.COOKIES.get("theme", "auto")
    return said if said in THEMES else "auto"


def next_theme(theme: str) -> str:
    """Return the theme after this one, in a circle."""
    return THEMES[(THEMES.index(theme) + 1) % len(THEMES)]


def single_keys_of(request: HttpRequest) -> bool:
    """Tell whether single keys are shortcuts for this person (WCAG 2.1.4 wants them to be switchable)."""
    return request.COOKIES.get("keys") != "off"


def keep(response: HttpResponse, name: str, value: str) -> None:
    """Keep one preference for a year."""
    response.set_cookie(name, value, max_age=_YEAR, samesite="Lax", secure=False)
