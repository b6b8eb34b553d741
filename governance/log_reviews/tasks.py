"""What the clock wakes: a stretch of the log that is over wants to be looked through."""

from celery import shared_task

from governance.core.actor import Actor, Door
from governance.log_reviews import actions, reminding


@shared_task(name="log_reviews.open_due")
def open_due() -> int:
    """Open the reviews whose stretch is over."""
    return actions.open_due(actor=Actor.system("log_reviews", door=Door.CLOCK))


@shared_task(name="log_reviews.remind")
def remind() -> int:
    """Tell whoever may sign what is due, and what is overdue."""
    return reminding.remind()
