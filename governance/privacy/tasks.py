"""What the clock wakes: what is due to go, goes."""

from celery import shared_task

from governance.core.actor import Actor, Door
from governance.privacy import erasing, pruning, restricting, taking_away_again


@shared_task(name="privacy.erase_due")
def erase_due() -> int:
    """Erase what need no longer be kept, put names aside that can be, remove files that a killed process left.

    First goes again what a restored backup brought back.
    """
    actor = Actor.system("retention", door=Door.CLOCK)
    taking_away_again.take_away_again(actor)
    taking_away_again.have_leave_again(actor=actor)
    erasing.remove_withdrawn_files()
    restricting.withhold_names(actor=actor)
    return erasing.erase_due(actor=actor)


@shared_task(name="privacy.prune_ledger")
def prune_ledger() -> int:
    """Dispose of the texts of the ledger that were kept long enough; return how many went."""
    return sum(one.entries for one in pruning.prune(actor=Actor.system("retention", door=Door.CLOCK)))
