"""Filters of the pages "Govern" and "Assure"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template

from governance.core import clock

register = template.Library()


@register.filter
def thousands(number: int) -> str:
    """Return a number with thousands separated: `1,204`."""
    return f"{number:,}"


@register.filter
def value_of(known: Mapping[Any, Any], name: Any) -> Any:
    """Return what a mapping holds under a name, or nothing."""
    return known.get(name)


@register.filter
def is_open(end: datetime) -> bool:
    """Tell whether an end means that there is none."""
    return clock.is_open_ended(end)


@register.filter
def order_state(operation: Any) -> str:
    """Return how an order looks: ordered, delivered, verified or failed. Green is only what was read back."""
    return {"delivered": "delivered", "verified": "verified", "failed": "failed"}.get(operation.state, "ordered")
