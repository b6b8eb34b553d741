"""What the database shows and no action of Gatehouse explains: found by looking, then owned, explained and closed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotFound
from governance.ledger import events
from governance.ledger.models import Finding
from governance.ledger.recording import Subject, record

MAX_EXPLANATION, MAX_FIX = 2_000, 200


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that was found. `cause` is the same whenever the same is seen again."""

    kind: str
    cause: str
    table: str
    row: str = ""
    rows: int = 1
    columns: str = ""
    operation: str = ""
    database_role: str = ""
    application: str = ""
    entry_index: int | None = None

    def shortened(self) -> Seen:
        """Return it as its columns hold it."""
        return replace(
            self, cause=self.cause[:300], row=self.row[:200], columns=self.columns[:500], table=self.table[:63]
        )


@transaction.atomic
def keep(seen: Iterable[Seen], *, at: datetime, actor: Actor) -> int:
    """Keep what was seen, each cause once, and record what is new; return how much is new.

    What was closed stays closed: its explanation is for exactly this cause.
    """
    wanted = {one.cause: one for one in (each.shortened() for each in seen)}
    known = set(Finding.objects.filter(cause__in=list(wanted)).values_list("cause", flat=True))
    Finding.objects.filter(cause__in=known).update(last_seen_at=at)
    for one in wanted.values():
        if one.cause not in known:
            _open(one, at, actor)
    return len(wanted) - len(known)


def take(finding_id: int, *, actor: Actor) -> Finding:
    """Have the acting person look into a finding. Raises NotFound, and Conflict when it is closed."""
    with transaction.atomic():
        finding = _open_one(finding_id)
        finding.owner_ref = actor.ref
        finding.save(update_fields=["owner_ref"])
        _record(events.FINDING_TAKEN, finding, actor)
    return finding


def explain(finding_id: int, explanation: str, *, fixed_by: str = "", actor: Actor) -> Finding:
    """Say what it was, and what put it right. The one who says so owns it from then on.

    Raises NotFound, Conflict when it is closed, and Invalid for an explanation that is none or too long.
    """
    said, fix = _said(explanation, fixed_by)
    with transaction.atomic():
        finding = _open_one(finding_id)
        _write(finding, said, fix, actor)
        _record(events.FINDING_EXPLAINED, finding, actor, explanation=said)
    return finding


def close(finding_id: int, explanation: str, *, fixed_by: str = "", actor: Actor) -> Finding:
    """Explain it and look no further. Errors are those of `explain`."""
    said, fix = _said(explanation, fixed_by)
    with transaction.atomic():
        finding = _open_one(finding_id)
        _write(finding, said, fix, actor)
        finding.closed_at, finding.closed_by_ref = now(), actor.ref
        finding.save(update_fields=["closed_at", "closed_by_ref"])
        _record(events.FINDING_CLOSED, finding, actor, explanation=said)
    return finding


def open_findings() -> QuerySet[Finding]:
    """Return what is open, newest first."""
    return Finding.objects.filter(closed_at=None).order_by("-id")


def closed_findings() -> QuerySet[Finding]:
    """Return what was closed, newest first."""
    return Finding.objects.exclude(closed_at=None).order_by("-id")


def finding(finding_id: int) -> Finding:
    """Return one. Raises NotFound."""
    found = Finding.objects.filter(pk=finding_id).first()
    if found is None:
        raise NotFound(f"There is no finding {finding_id}.")
    return found


def _open(seen: Seen, at: datetime, actor: Actor) -> None:
    row = Finding.objects.create(
        **{name: getattr(seen, name) for name in Seen.__slots__}, first_seen_at=at, last_seen_at=at
    )
    record(
        events.FINDING_OPENED,
        actor=actor,
        subjects=[Subject("finding", str(row.pk)), Subject("table", seen.table)],
        data={
            "kind": seen.kind,
            "row": seen.row,
            "rows": seen.rows,
            "columns": seen.columns,
            "operation": seen.operation,
            "entry": seen.entry_index,
        },
        at=at,
    )


def _open_one(finding_id: int) -> Finding:
    found = Finding.objects.select_for_update().filter(pk=finding_id).first()
    if found is None:
        raise NotFound(f"There is no finding {finding_id}.")
    if found.closed_at is not None:
        raise Conflict("This finding was closed. Its explanation stays.")
    return found


def _said(explanation: str, fixed_by: str) -> tuple[str, str]:
    said, fix = explanation.strip(), fixed_by.strip()
    if not said:
        raise Invalid({"explanation": "Say what it was."})
    if len(said) > MAX_EXPLANATION:
        raise Invalid({"explanation": f"At most {MAX_EXPLANATION:,} characters."})
    if len(fix) > MAX_FIX:
        raise Invalid({"fixed_by": f"At most {MAX_FIX} characters."})
    return said, fix


def _write(finding: Finding, explanation: str, fixed_by: str, actor: Actor) -> None:
    finding.explanation, finding.fixed_by, finding.owner_ref = explanation, fixed_by, actor.ref
    finding.save(update_fields=["explanation", "fixed_by", "owner_ref"])


def _record(event: str, finding: Finding, actor: Actor, *, explanation: str = "") -> None:
    record(
        event,
        actor=actor,
        subjects=[Subject("finding", str(finding.pk)), Subject("table", finding.table)],
        data={"kind": finding.kind},
        private={"explanation": (actor.ref, explanation)} if explanation else None,
    )
