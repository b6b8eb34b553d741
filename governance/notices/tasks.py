"""What the clock wakes up: each task drains what is due and may run twice."""

from __future__ import annotations

from celery import shared_task

from governance.notices.calling import call_due
from governance.notices.expiring import warn_due
from governance.notices.forgetting import forget_old
from governance.notices.mailing import send_due
from governance.notices.reading import read_on


@shared_task(name="notices.read")
def read() -> int:
    """Tell people what the ledger holds; return how many notices were written."""
    return read_on()


@shared_task(name="notices.warn")
def warn() -> int:
    """Tell people what access ends soon; return how many."""
    return warn_due()


@shared_task(name="notices.send_mail")
def send_mail() -> int:
    """Send the mails that are due; return how many were settled."""
    return send_due()


@shared_task(name="notices.call_webhooks")
def call_webhooks() -> int:
    """Send what webhooks are told; return how many messages were worked on."""
    return call_due()


@shared_task(name="notices.forget")
def forget() -> int:
    """Delete what is too old to be of use; return how many rows."""
    return forget_old()
