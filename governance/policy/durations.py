"""How long access may last, and how to say it."""

from __future__ import annotations

from datetime import timedelta

from governance.core.durations import spoken

__all__ = ["COMMON", "SHORTEST", "spoken", "whole_seconds"]

#: The answers people usually give, shortest first.
COMMON = tuple(
    timedelta(minutes=minutes) for minutes in (15, 60, 4 * 60, 8 * 60, 24 * 60, 7 * 24 * 60, 30 * 24 * 60, 90 * 24 * 60)
)
#: Anything shorter ends before somebody can use it.
SHORTEST = timedelta(seconds=1)


def whole_seconds(duration: timedelta | None) -> int | None:
    """Return a duration in whole seconds; None stays None."""
    return None if duration is None else int(duration.total_seconds())
