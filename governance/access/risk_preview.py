"""What other weights of risk would change: the requests of the last 90 days, scored and decided again under them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from governance.access.models import AccessRequest
from governance.catalog.weights import Weights
from governance.policy.recomputing import CannotRead, facts_of
from governance.policy.risk import score
from governance.policy.verdicts import Verdict, decide_request

LOOKS_BACK = timedelta(days=90)
#: The latest so many are looked at, which takes a few seconds at most.
MOST = 3_000
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Moved:
    """A request whose level or verdict would be another."""

    number: int
    points_before: int
    points_after: int
    level_before: int
    level_after: int
    what: str


@dataclass(slots=True)
class Preview:
    """How many requests would stand where. `levels_before` and `levels_after` count by level, 1 to 4."""

    looked_at: int = 0
    unreadable: int = 0
    levels_before: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(1, 5), 0))
    levels_after: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(1, 5), 0))
    moved_level: int = 0
    needs_more: int = 0
    needs_less: int = 0
    refused: int = 0
    named: list[Moved] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all numbers, and the first that would move."""
        return {
            "looked_at": self.looked_at,
            "unreadable": self.unreadable,
            "levels_before": {str(level): number for level, number in self.levels_before.items()},
            "levels_after": {str(level): number for level, number in self.levels_after.items()},
            "moved_level": self.moved_level,
            "needs_more": self.needs_more,
            "needs_less": self.needs_less,
            "refused": self.refused,
            "examples": [
                {
                    "number": one.number,
                    "points": [one.points_before, one.points_after],
                    "levels": [one.level_before, one.level_after],
                    "what": one.what,
                }
                for one in self.named
            ],
        }

    @property
    def levels(self) -> list[tuple[int, int, int]]:
        """Return each level with how many stand there now and would stand there."""
        return [(level, self.levels_before[level], self.levels_after[level]) for level in range(1, 5)]


def preview(weights: Weights, *, at: datetime) -> Preview:
    """Return what would change under other weights. One statement; what cannot be read is counted apart."""
    found = Preview()
    rows = AccessRequest.objects.filter(created_at__gt=at - LOOKS_BACK).order_by("-pk")
    for number, kept in rows.values_list("number", "verdict")[:MOST].iterator(chunk_size=500):
        _count(found, number, kept, weights)
    return found


def _count(found: Preview, number: int, kept: dict[str, Any], weights: Weights) -> None:
    try:
        facts = facts_of(kept)
    except CannotRead:
        found.unreadable += 1
        return
    risk = score(facts, weights)
    after = decide_request(facts, risk)
    points, level = int(kept["risk"]["points"]), int(kept["risk"]["level"])
    found.looked_at += 1
    found.levels_before[level] += 1
    found.levels_after[risk.level] += 1
    found.moved_level += level != risk.level
    what = _difference(kept["verdict"], after)
    found.refused += what == "refused"
    found.needs_more += what == "more"
    found.needs_less += what == "less"
    if (what or level != risk.level) and len(found.named) < _NAMED:
        found.named.append(Moved(number, points, risk.points, level, risk.level, what))


def _difference(before: dict[str, Any], after: Verdict) -> str:
    """Tell whether more, or fewer, would have to decide than did, or nobody could have asked."""
    if after.reasons and not before.get("reasons"):
        return "refused"
    asked_before = 0 if before.get("is_automatic") else len(before.get("stages", []))
    asked_after = 0 if after.is_automatic else len(after.stages)
    if asked_after == asked_before:
        return ""
    return "more" if asked_after > asked_before else "less"
