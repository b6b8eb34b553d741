"""What the clock wakes: what is due to go, goes."""

from celery import shared_task

from governance.core.actor import Actor, Door
from governance.privacy import erasing


@shared_task(name="privacy.erase_due")
def erase_due() -> int:
    """Erase what the law no longer asks to be kept, and files that a killed process left."""
    erasing.remove_withdrawn_files()
    return erasing.erase_due(actor=Actor.system("retention", door=Door.CLOCK))
