"""What the clock wakes up: planned leaves that are due, what was released, and of how many people sources speak."""

from __future__ import annotations

from celery import shared_task

from governance.lifecycle.brake import count_people
from governance.lifecycle.holds import carry_out_released, withdraw_what_is_over
from governance.lifecycle.people_drafts import forget_old
from governance.lifecycle.planning import leave_when_due


@shared_task(name="lifecycle.sweep")
def sweep() -> int:
    """Carry out every planned leave that is due and everything that was released; return how much was done."""
    return leave_when_due() + carry_out_released()


@shared_task(name="lifecycle.count_people")
def count() -> int:
    """Note of how many people each source speaks, and tidy up; return how many sources there are."""
    withdraw_what_is_over()
    forget_old()
    return count_people()
