"""What workers do for evidence. A task says "look now"; the work and its progress are in the rows."""

from __future__ import annotations

from celery import shared_task

from governance.evidence import building
from governance.evidence.continuous import READ_DUE, read_due

#: A year of a large company is read in a minute or two; this is for a slow disk. Killed later, it starts over.
SOFT_LIMIT_SECONDS, HARD_LIMIT_SECONDS = 1_800, 1_860


@shared_task(name="evidence.build_due", soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=HARD_LIMIT_SECONDS)
def build_due() -> int:
    """Bring every open bundle as far as it goes; return how many are finished by this."""
    return building.advance_due()


@shared_task(name="evidence.build", soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=HARD_LIMIT_SECONDS)
def build_bundle(bundle_id: int) -> bool:
    """Bring one bundle as far as it goes; return whether it is finished."""
    return building.advance(bundle_id)


@shared_task(name=READ_DUE, soft_time_limit=SOFT_LIMIT_SECONDS, time_limit=HARD_LIMIT_SECONDS)
def read_controls() -> int:
    """Read what is due of the continuous view; return how many reports were taken in."""
    return read_due()
