"""What workers do for evidence. A task says "look now"; the work and its progress are in the rows."""

from __future__ import annotations

from celery import shared_task

from governance.evidence import building


@shared_task(name="evidence.build_due")
def build_due() -> int:
    """Bring every open bundle as far as it goes; return how many are finished by this."""
    return building.advance_due()


@shared_task(name="evidence.build")
def build_bundle(bundle_id: int) -> bool:
    """Bring one bundle as far as it goes; return whether it is finished."""
    return building.advance(bundle_id)
