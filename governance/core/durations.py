"""How to say a duration."""

from __future__ import annotations

from datetime import timedelta


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
