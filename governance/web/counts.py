"""How much open work stands behind each link of the navigation."""

from __future__ import annotations

from django.http import HttpRequest


def open_work(request: HttpRequest) -> dict[str, int]:
    """Return the number of open things for each page."""
    return {}
