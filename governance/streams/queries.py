"""What may be asked about streams: which there are, how far each is, and who has waited too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.ledger.models import Checkpoint
from governance.ledger.queries import latest_checkpoint
from governance.streams.models import Destination

#: A destination that waits longer than this for an entry makes `/readyz` fail.
LONGEST_WAIT = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a destination is. `lag` is for how long the first entry that it lacks has been sealed."""

    destination: Destination
    unsent: int
    lag: timedelta

    @property
    def lag_seconds(self) -> float:
        """Return the lag in seconds."""
        return self.lag.total_seconds()

    @property
    def is_late(self) -> bool:
        """Tell whether it waits too long. One that is paused does not wait."""
        return self.destination.paused_at is None and self.lag > LONGEST_WAIT


def live() -> QuerySet[Destination]:
    """Return the destinations that were not ended, by name."""
    return Destination.objects.filter(ended_at__isnull=True).order_by("name")


def by_ref(ref: UUID) -> Destination:
    """Return a destination that was not ended. Raises NotFound."""
    found = live().filter(ref=ref).first()
    if found is None:
        raise NotFound("There is no such stream.")
    return found


def standings(rows: QuerySet[Destination] | None = None) -> list[Standing]:
    """Return how far each destination is. Two statements."""
    at, head = now(), latest_checkpoint()
    lacking = Checkpoint.objects.filter(size__gt=OuterRef("next_index")).order_by("size")
    found = (live() if rows is None else rows).annotate(waits_since=Subquery(lacking.values("at")[:1]))
    size = head.size if head else 0
    return [Standing(one, max(0, size - one.next_index), _lag(one.waits_since, at)) for one in found]


def _lag(since: datetime | None, at: datetime) -> timedelta:
    return max(timedelta(0), at - since) if since else timedelta(0)
