"""What wake-ups and the clock run: each drains what is due and may run twice."""

from __future__ import annotations

from celery import shared_task

from governance.provisioning.claims import release_of_the_dead, worker_name
from governance.provisioning.delivery import deliver_due as deliver
from governance.provisioning.reading import read_due


@shared_task(name="provisioning.deliver_due")
def deliver_due() -> int:
    """Carry out the orders that are due; return how many were worked on."""
    release_of_the_dead()
    return deliver(worker=worker_name())


@shared_task(name="provisioning.sync_due")
def sync_due() -> int:
    """Read the applications whose reading is due or was asked for; return how many."""
    return read_due()
