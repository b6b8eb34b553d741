"""The one place that reads the clock, and the instant that means "no end"."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone

#: An interval without an end has this end. A real instant (not SQL `infinity`) because Python can hold it,
#: JSON can carry it and every comparison stays an ordinary one. See docs/adr/0003.
OPEN_END = datetime(9999, 12, 31, tzinfo=UTC)


def now() -> datetime:
    """Return the current instant, aware, in UTC. Read it once, at the top of an action."""
    return timezone.now()


def is_open_ended(end: datetime) -> bool:
    """Tell whether `end` means that there is no end."""
    return end >= OPEN_END
