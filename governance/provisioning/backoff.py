"""When to try again, as pure functions of how often it was tried."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

#: An order is tried for this long; then a person has to look.
TRIED_FOR = timedelta(hours=24)
#: An application that accepted an order is asked for this long whether it shows.
ASKED_FOR = timedelta(minutes=30)

_LONGEST_SECONDS = 900.0
_READ_BACK_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300)
#: Failures in a row before an application is left alone for a while.
FAILURES_TO_OPEN = 5


def next_attempt(at: datetime, attempts: int, retry_after_seconds: float | None) -> datetime:
    """Return when to send again after `attempts` tries: doubling from two seconds to 15 minutes, spread by half.

    What the application asked for (Retry-After) is the least.
    """
    pause = min(2.0 ** min(attempts, 12), _LONGEST_SECONDS)
    pause *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the load, protects nothing
    return at + timedelta(seconds=max(pause, retry_after_seconds or 0.0))


def next_question(at: datetime, delivered_at: datetime, retry_after_seconds: float | None) -> datetime:
    """Return when to ask again whether an accepted order shows: soon at first, then more rarely."""
    waited = (at - delivered_at).total_seconds()
    pause = next((step for step in _READ_BACK_SECONDS if step > waited), _READ_BACK_SECONDS[-1])
    return at + timedelta(seconds=max(pause, retry_after_seconds or 0.0))


def circuit_retry(at: datetime, failures: int) -> datetime:
    """Return until when an application that failed so often in a row is left alone: half a minute to ten minutes."""
    return at + timedelta(seconds=min(30.0 * 2 ** max(0, failures - FAILURES_TO_OPEN), 600.0))
