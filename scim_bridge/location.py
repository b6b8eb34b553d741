"""Where this door is, as clients see it."""

from __future__ import annotations

from typing import Any

from django.conf import settings


def base_location(request: Any = None, *_: Any, **__: Any) -> str:
    """Return the base of every location: the public address, never what a Host header says."""
    return f"{settings.PUBLIC_URL}/scim/v2"
