"""What may be asked about anchors: which there are, what they keep, and whether a head is too old everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from governance.anchors.models import Anchor, AnchorReceipt
from governance.core.clock import now
from governance.core.errors import NotFound

#: An anchor is late when it has missed this many of its turns, and half an hour besides.
TURNS_MISSED = 3
_AND = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How it stands with heads that are kept elsewhere. `late` are the anchors that missed their turns."""

    live: int
    late: tuple[Anchor, ...]
    newest_at: datetime | None

    @property
    def is_fine(self) -> bool:
        """Tell whether every anchor keeps up. Without any there is nothing to be late."""
        return not self.late


def live() -> QuerySet[Anchor]:
    """Return the anchors that were not ended, by name."""
    return Anchor.objects.filter(ended_at__isnull=True).order_by("name")


def by_ref(ref: UUID) -> Anchor:
    """Return the anchor. Raises NotFound."""
    found = Anchor.objects.filter(ref=ref).first()
    if found is None:
        raise NotFound("There is no such anchor.")
    return found


def receipts(anchor: Anchor) -> QuerySet[AnchorReceipt]:
    """Return what the anchor gave, the newest first."""
    return anchor.receipts.order_by("-size", "-id")


def receipts_over(index: int, limit: int = 20) -> list[AnchorReceipt]:
    """Return the earliest receipt of each anchor whose head covers the entry `index`: it could not be changed since."""
    found = (
        AnchorReceipt.objects.filter(size__gt=index)
        .order_by("anchor_id", "size", "id")
        .distinct("anchor_id")
        .select_related("anchor")
    )
    return sorted(found[:limit], key=lambda one: one.at)


def is_late(anchor: Anchor, *, at: datetime) -> bool:
    """Tell whether the anchor has missed its turns."""
    if anchor.ended_at is not None or anchor.paused_at is not None:
        return False
    since = anchor.last_at or anchor.created_at
    return at - since > timedelta(seconds=TURNS_MISSED * anchor.every_seconds) + _AND


def freshness() -> Freshness:
    """Return how it stands now."""
    at, anchors = now(), list(live())
    kept = [anchor.last_at for anchor in anchors if anchor.last_at is not None]
    return Freshness(len(anchors), tuple(one for one in anchors if is_late(one, at=at)), max(kept, default=None))
