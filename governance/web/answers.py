"""Small things every view says: a page or its part, whether htmx asks, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def is_htmx(request: HttpRequest) -> bool:
    """Tell whether htmx asks and wants only a part of the page."""
    return request.headers.get("HX-Request") == "true"


def page(
    request: HttpRequest, template: str, part: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Return a page, or only its named part when htmx asks."""
    name = f"{template}#{part}" if is_htmx(request) else template
    return render(request, name, dict(context), status=status)
