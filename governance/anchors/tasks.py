"""What the clock wakes up."""

from __future__ import annotations

from celery import shared_task

from governance.anchors.keeping import keep_due


@shared_task(name="anchors.keep_due")
def keep() -> int:
    """Bring the newest head to every anchor whose turn it is; return how many keep it now."""
    return keep_due()
