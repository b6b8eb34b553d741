"""Planned leave dates: said ahead by a page, a script or a file, moved or called off, and carried out when due."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.core.statements import rows
from governance.core.transactions import whole
from governance.identity import people
from governance.identity.models import Person, Status
from governance.ledger.recording import Subject, record
from governance.lifecycle import brake, events, holding, leaving
from governance.lifecycle.models import Kind, LeavePlan

LONGEST_AHEAD = timedelta(days=5 * 366)
#: So many leave in one transaction.
BATCH = 50


@whole
def plan(person: Person, leaves_at: datetime, *, note: str = "", source: str | None = None, actor: Actor) -> bool:
    """Write that a locked person leaves at an instant to come; return False when the brake holds it instead.

    Again with the same instant changes nothing. Raises Conflict for somebody who left, and Invalid for an instant that
    is past or years away.
    """
    at = now()
    _check(person, leaves_at, note, at)
    source = source or brake.source_of(actor)
    if person.leaves_at == leaves_at:
        return True
    if source is not None and person.leaves_at is None and _is_held_back(person, leaves_at, source, at, actor):
        return False
    write(person, leaves_at, source=source or actor.ref, note=note, at=at, actor=actor)
    return True


@whole
def call_off(person: Person, *, note: str = "", source: str | None = None, actor: Actor) -> None:
    """Write that a locked person stays after all.

    Raises Conflict when no leave date is planned.
    """
    at = now()
    if person.leaves_at is None:
        raise Conflict(f"No leave date is planned for {person.display_name}.")
    write(person, None, source=source or brake.source_of(actor) or actor.ref, note=note, at=at, actor=actor)


def write(person: Person, leaves_at: datetime | None, *, source: str, note: str, at: datetime, actor: Actor) -> None:
    """Write and record a plan of a locked person as decided. Joins the caller's transaction."""
    before = person.leaves_at
    people.plan_leaving(person, leaves_at)
    LeavePlan.objects.create(
        person=person,
        leaves_at=leaves_at,
        source=source,
        note=note.strip(),
        set_at=at,
        set_by_ref=actor.ref,
        correlation_id=actor.correlation_id,
    )
    record(
        events.LEAVING_CALLED_OFF if leaves_at is None else events.LEAVING_PLANNED,
        actor=actor,
        subjects=[Subject("person", str(person.ref))],
        data={
            "leaves_at": leaves_at.isoformat() if leaves_at else None,
            "before": before.isoformat() if before else None,
            "source": source,
        },
        private={"note": (str(person.ref), note.strip())} if note.strip() else {},
    )


def leave_when_due() -> int:
    """Let everybody leave whose planned instant has come; return how many. In batches, and may run twice at once."""
    done = 0
    while batch := _leave_batch():
        done += batch
        if batch < BATCH:
            break
    return done


@transaction.atomic
def _leave_batch() -> int:
    at = now()
    due = [key for (key,) in rows(_DUE, [at, BATCH])]
    for person in Person.objects.filter(pk__in=due).order_by("leaves_at", "pk"):
        last = LeavePlan.objects.filter(person=person).order_by("-pk").first()
        actor = Actor.system("planned_leave", correlation_id=last.correlation_id if last else None)
        seen = leaving.look(person, source=None, at=at)
        leaving.carry_out(
            person,
            seen,
            source=last.source if last else None,
            unlist=False,
            effective_at=person.leaves_at or at,
            at=at,
            actor=actor,
        )
    return len(due)


_DUE = """
SELECT id FROM identity_person WHERE leaves_at <= %s AND status = 'active'
ORDER BY leaves_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""


def leaving_lag_seconds() -> float:
    """Return for how many seconds the oldest planned leave has been due and not carried out; 0 when none is."""
    at = now()
    due = Person.objects.filter(leaves_at__lte=at, status=Status.ACTIVE).order_by("leaves_at").first()
    return (at - due.leaves_at).total_seconds() if due is not None and due.leaves_at is not None else 0.0


def _is_held_back(person: Person, leaves_at: datetime, source: str, at: datetime, actor: Actor) -> bool:
    reading = brake.count(source, Kind.PLAN.value, 1, at=at, person_id=person.pk)
    if brake.passes(reading):
        return False
    holding.hold(reading, [holding.Held(person.pk, effective_at=leaves_at)], at=at, actor=actor)
    return True


def _check(person: Person, leaves_at: datetime, note: str, at: datetime) -> None:
    if person.status == Status.LEFT:
        raise Conflict(f"{person.display_name} left already.")
    problems = {}
    if leaves_at <= at:
        problems["leaves_at"] = "This instant is past. If the person has left already, say that they left."
    if leaves_at > at + LONGEST_AHEAD:
        problems["leaves_at"] = "At most five years ahead."
    if len(note.strip()) > 500 or "\x00" in note:
        problems["note"] = "At most 500 characters of text."
    if problems:
        raise Invalid(problems)
