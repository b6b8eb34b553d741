"""Past decisions made again from their receipts, by the pure functions that made them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from governance.access.models import Approval, Turn, TurnKind
from governance.policy.recomputing import Recomputed, recompute, recompute_escalation

#: Read in pieces of so many, so that millions need no more memory than a few.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class One:
    """One decision, and what came of making it again."""

    number: int
    what: str
    found: Recomputed

    @property
    def sentence(self) -> str:
        """Say what came of it."""
        said = f"R-{self.number} {self.what}: "
        if self.found.cannot:
            return f"{said}cannot. {self.found.cannot}"
        return f"{said}differs in {', '.join(self.found.differs)}" if self.found.differs else f"{said}equal"


@dataclass(slots=True)
class Counted:
    """How many came out in which way."""

    equal: int = 0
    differs: int = 0
    cannot: int = 0

    def count(self, one: One) -> None:
        """Count one."""
        if one.found.is_equal:
            self.equal += 1
        elif one.found.differs:
            self.differs += 1
        else:
            self.cannot += 1

    @property
    def sentence(self) -> str:
        """Say all three numbers."""
        return f"{self.equal} equal, {self.differs} differ, {self.cannot} cannot be made again."


def recomputed(numbers: Collection[int] = (), *, since: datetime | None = None) -> Iterator[One]:
    """Make decisions again: those about some requests, since an instant, or all, in the order they were made."""
    approvals = Approval.objects.select_related("request").defer("request__verdict").order_by("pk")
    turns = Turn.objects.filter(kind=TurnKind.ESCALATED).select_related("request").defer("request__verdict")
    if numbers:
        approvals = approvals.filter(request__number__in=numbers)
        turns = turns.filter(request__number__in=numbers)
    if since is not None:
        approvals, turns = approvals.filter(decided_at__gte=since), turns.filter(at__gte=since)
    for approval in approvals.iterator(chunk_size=_AT_ONCE):
        yield One(approval.request.number, _named(approval), _again(approval))
    for turn in turns.order_by("pk").iterator(chunk_size=_AT_ONCE):
        yield One(turn.request.number, f"stage {turn.stage + 1} escalated", recompute_escalation(turn.facts))


def _again(approval: Approval) -> Recomputed:
    by_policy = approval.approver_id is None
    return recompute(approval.facts, approved=approval.approved, by_policy=by_policy)


def _named(approval: Approval) -> str:
    who = "by policy" if approval.approver_id is None else "by a person"
    return f"stage {approval.stage + 1} {'approved' if approval.approved else 'declined'} {who}"
