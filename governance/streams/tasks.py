"""What sealing and the clock wake up."""

from __future__ import annotations

from celery import shared_task

from governance.streams.sending import send_due


@shared_task(name="streams.send_due")
def send() -> int:
    """Bring sealed entries to every destination that waits for some; return how many entries arrived."""
    return send_due()
