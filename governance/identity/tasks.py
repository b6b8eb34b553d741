"""What the clock wakes up in this room."""

from __future__ import annotations

from celery import shared_task

from governance.core.clock import now
from governance.identity.connections import activity, ownership


@shared_task(name="identity.forget_exchanges")
def forget_exchanges() -> int:
    """Remove the exchanges of connections whose time is over; return how many."""
    return activity.forget(at=now())


@shared_task(name="identity.settle_conflicts")
def settle_conflicts() -> int:
    """Close the conflicts between connections that are none any more; return how many."""
    return ownership.settle(at=now())
