"""What the clock wakes: a word before an audit ends."""

from celery import shared_task

from governance.engagements import reminding


@shared_task(name="engagements.warn_of_ends")
def warn_of_ends() -> int:
    """Tell people about audits that end soon."""
    return reminding.warn_of_ends()
