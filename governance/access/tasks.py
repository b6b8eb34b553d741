"""What the clock wakes up: a task drains what is due and may run twice."""

from __future__ import annotations

from celery import shared_task

from governance.access.sweep import sweep


@shared_task(name="access.sweep")
def sweep_due() -> int:
    """Order every start and end that is due; return how much was done."""
    return sweep()
