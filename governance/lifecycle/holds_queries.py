"""What pages and scripts ask about what is held. Frozen values out."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.identity.models import Connection, Person
from governance.lifecycle import brake
from governance.lifecycle.brake import Limits
from governance.lifecycle.models import HeldItem, Hold, HoldState, ItemState, SignalCount, SourceBrake

_FIXED = {brake.PAGE: "Pages", brake.API: "Scripts", brake.HR_FILE: "Files of people"}


@dataclass(frozen=True, slots=True)
class HoldLine:
    """A hold in the list. `numbers` counts its people by what became of them."""

    hold: Hold
    source_words: str
    numbers: Mapping[str, int]

    @property
    def total(self) -> int:
        """Return how many people it is about."""
        return sum(self.numbers.values())

    @property
    def waiting(self) -> int:
        """Return for how many nobody has decided."""
        return self.numbers.get(ItemState.WAITING, 0)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """The limits of one source, and how much of them is used."""

    source: str
    words: str
    limits: Limits
    people: int
    taken: int

    @property
    def limit(self) -> int:
        """Return from how many people on it is held now."""
        return self.limits.among(self.people)


def source_words(source: str) -> str:
    """Return what people call a source."""
    return _FIXED.get(source) or source.removeprefix("scim:")


def holds(*, is_open: bool, limit: int = 100) -> list[HoldLine]:
    """Return the holds that wait, or the latest that were decided. Two statements."""
    state = HoldState.OPEN if is_open else HoldState.DECIDED
    found = list(Hold.objects.filter(state=state).order_by("-opened_at", "-pk")[:limit])
    return _lines(found)


def waiting_holds() -> list[tuple[Hold, str, int]]:
    """Return what waits for a decision, the latest first: the hold, its source in words, how many it is about.

    One statement.
    """
    waiting = Count("items", filter=Q(items__state=ItemState.WAITING))
    found = open_holds().annotate(waiting=waiting).order_by("-opened_at", "-pk")[:100]
    return [(one, source_words(one.source), one.waiting) for one in found]


def hold_line(ref: uuid.UUID | str) -> HoldLine:
    """Return one hold. Raises NotFound. Two statements."""
    found = Hold.objects.filter(ref=ref).first()
    if found is None:
        raise NotFound("There is nothing held by that id.")
    return _lines([found])[0]


def items_of(found: Hold) -> QuerySet[HeldItem]:
    """Return whom a hold is about."""
    return found.items.select_related("person", "decided_by")


def open_holds() -> QuerySet[Hold]:
    """Return what waits for a decision, to be counted."""
    return Hold.objects.filter(state=HoldState.OPEN)


def held_about(person: Person) -> list[HeldItem]:
    """Return what waits about a person."""
    waiting = HeldItem.objects.filter(person=person, state=ItemState.WAITING)
    return list(waiting.select_related("hold").order_by("pk"))


def sources() -> list[SourceLine]:
    """Return every source that is or could be braked, with its limits. Three statements."""
    known = {one.source: one for one in SourceBrake.objects.all()}
    live = [
        f"scim:{name}" for name in Connection.objects.filter(revoked_at__isnull=True).values_list("name", flat=True)
    ]
    names = sorted({*known, *live, *_FIXED}, key=lambda one: (not one.startswith("scim:"), one))
    taken = _taken({name: known[name].window_hours if name in known else brake.DEFAULTS.window_hours for name in names})
    return [_source(name, known.get(name), taken.get(name, 0)) for name in names]


def _source(name: str, known: SourceBrake | None, taken: int) -> SourceLine:
    limits = brake.limits_of(known) if known is not None else Limits()
    return SourceLine(name, source_words(name), limits, known.people if known is not None else 0, taken)


def _taken(windows: Mapping[str, int]) -> dict[str, int]:
    at = now()
    chosen = Q()
    for hours in set(windows.values()):
        names = [name for name, window in windows.items() if window == hours]
        chosen |= Q(source__in=names, hour__gt=at - timedelta(hours=hours))
    counted = SignalCount.objects.filter(chosen, kind="leave").values("source").annotate(total=Sum("signals"))
    return {row["source"]: row["total"] for row in counted.order_by()}


def _lines(found: Collection[Hold]) -> list[HoldLine]:
    counted: dict[int, dict[str, int]] = {}
    rows: Any = HeldItem.objects.filter(hold__in=found).values("hold_id", "state").annotate(number=Count("pk"))
    for row in rows.order_by():
        counted.setdefault(row["hold_id"], {})[row["state"]] = row["number"]
    return [HoldLine(one, source_words(one.source), counted.get(one.pk, {})) for one in found]
