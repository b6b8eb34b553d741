"""How long access may last, and how to say it."""

from __future__ import annotations

from datetime import timedelta

#: The answers people usually give, shortest first.
COMMON = tuple(
    timedelta(minutes=minutes) for minutes in (15, 60, 4 * 60, 8 * 60, 24 * 60, 7 * 24 * 60, 30 * 24 * 60, 90 * 24 * 60)
)
#: Anything shorter ends before somebody can use it.
SHORTEST = timedelta(seconds=1)


def spoken(duration: timedelta | None) -> str:
    """Say a duration in words: "4 hours", "7 days", "90 minutes"; None is "no end"."""
    if duration is None:
        return "no end"
    seconds = int(duration.total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % length == 0 and seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"


def whole_seconds(duration: timedelta | None) -> int | None:
    """Return a duration in whole seconds; None stays None."""
    return None if duration is None else int(duration.total_seconds())
