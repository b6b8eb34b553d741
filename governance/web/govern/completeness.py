"""How complete the picture is: which applications were read, when, and which were not. Said as a sentence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Max, OuterRef, Q, Subquery

from governance.catalog.models import Application
from governance.provisioning.models import ConnectorKind, SyncRun
from governance.web.clock_words import short_length

#: Readings come every quarter of an hour; four missed ones are a gap.
FRESH_FOR = timedelta(hours=1)
_NAMED = 2


@dataclass(frozen=True, slots=True)
class Source:
    """An application as a source of what was seen. `read_at` is none when it was never read completely."""

    name: str
    is_connected: bool
    read_at: datetime | None

    def is_fresh(self, at: datetime) -> bool:
        """Tell whether its last complete reading is recent enough to speak for that instant."""
        return self.read_at is not None and at - self.read_at <= FRESH_FOR


@dataclass(frozen=True, slots=True)
class Completeness:
    """The sentence, and whether it is good news."""

    is_complete: bool
    sentence: str


def completeness(applications: Collection[int] | None, at: datetime) -> Completeness:
    """Return how complete what was seen at an instant is. One statement."""
    return said(sources(applications, at), at)


def sources(applications: Collection[int] | None, at: datetime) -> list[Source]:
    """Return the applications in reach with the end of their last complete reading by that instant."""
    found = Application.objects.filter(retired_at__isnull=True)
    if applications is not None:
        found = found.filter(pk__in=applications)
    latest = (
        SyncRun.objects.filter(application=OuterRef("pk"), is_complete=True, finished_at__lte=at)
        .order_by()
        .values("application")
        .annotate(latest=Max("finished_at"))
        .values("latest")
    )
    connected = Q(connector__isnull=False, connector__disabled_at__isnull=True) & ~Q(
        connector__kind=ConnectorKind.MANUAL
    )
    rows = found.annotate(read_at=Subquery(latest), is_connected=connected).order_by(F("read_at").asc(nulls_first=True))
    return [Source(name, is_connected, read_at) for name, is_connected, read_at in rows.values_list(
        "name", "is_connected", "read_at"
    )]  # fmt: skip


def said(found: Sequence[Source], at: datetime) -> Completeness:
    """Return the sentence about these sources: what is old first, then what is kept by hand."""
    read = [one for one in found if one.is_connected or one.read_at is not None]
    by_hand = len(found) - len(read)
    hand = f", {_count(by_hand)} kept by hand" if by_hand else ""
    if not read:
        return Completeness(False, "No application is read by a connector yet, so only what was granted is shown")
    stale = [one for one in read if not one.is_fresh(at)]
    if not stale:
        oldest = min(one.read_at for one in read if one.read_at is not None)
        span = short_length(max(at - oldest, timedelta(minutes=1)))
        return Completeness(True, f"Complete: {_all(len(read))} read in the last {span}{hand}")
    named = "; ".join(_stale(one, at) for one in stale[:_NAMED])
    more = f"; and {len(stale) - _NAMED} more" if len(stale) > _NAMED else ""
    return Completeness(False, f"Not complete: {named}{more}{hand}")


def _stale(source: Source, at: datetime) -> str:
    if source.read_at is None:
        return f"{source.name} was never read to the end"
    return f"{source.name} was not read for {short_length(at - source.read_at)}"


def _all(number: int) -> str:
    return "the one application" if number == 1 else f"all {number} applications"


def _count(number: int) -> str:
    return f"{number} application{'' if number == 1 else 's'}"
