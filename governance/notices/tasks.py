"""What the clock wakes up: each task drains what is due and may run twice."""

from __future__ import annotations

from celery import shared_task

from governance.notices.expiring import warn_due
from governance.notices.reading import read_on


@shared_task(name="notices.read")
def read() -> int:
    """Tell people what the ledger holds; return how many notices were written."""
    return read_on()


@shared_task(name="notices.warn")
def warn() -> int:
    """Tell people what access ends soon; return how many."""
    return warn_due()
