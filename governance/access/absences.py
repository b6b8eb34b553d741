"""The writers of absences: who is away from when until when, and who answers what they are asked meanwhile.

Nothing that waits is changed: who may answer is asked anew at each moment, so that what waits already goes to the
deputy when the absence begins, and back when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction

from governance.access import events
from governance.access.models import Absence
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, NotFound, Reason, Refused
from governance.identity.models import Person
from governance.ledger.recording import Subject, record

LONGEST = timedelta(days=366)
LONGEST_REASON = 200


@transaction.atomic
def plan_absence(
    person: Person, *, deputy: Person, starts_at: datetime, ends_at: datetime, reason: str = "", actor: Actor
) -> Absence:
    """Return an absence, from now or a later start until before its end.

    Raises Refused with every reason why not.
    """
    at = now()
    person = Person.objects.select_for_update(no_key=True, of=("self",)).get(pk=person.pk)
    starts_at = max(starts_at, at)
    if reasons := list(_problems(person, deputy, starts_at, ends_at, reason, at)):
        raise Refused(reasons)
    absence = Absence.objects.create(
        person=person, deputy=deputy, starts_at=starts_at, ends_at=ends_at, reason=reason.strip(), created_at=at
    )
    record(
        events.ABSENCE_PLANNED,
        actor=actor,
        subjects=[Subject("absence", str(absence.pk)), Subject("person", str(person.ref))],
        data={"deputy": str(deputy.ref), "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()},
        private={"reason": (str(person.ref), absence.reason)} if absence.reason else {},
    )
    return absence


@transaction.atomic
def end_absence(absence: Absence, *, person: Person, actor: Actor) -> Absence:
    """End one's own absence now; one that has not begun never does.

    Raises NotFound for somebody else's and Conflict when it is over.
    """
    at = now()
    found = Absence.objects.select_for_update(no_key=True, of=("self",)).select_related("person", "deputy")
    kept = found.filter(pk=absence.pk, person=person).first()
    if kept is None:
        raise NotFound("There is no such absence of yours.")
    if kept.ends_at <= at or kept.ends_at == kept.starts_at:
        raise Conflict("This absence is over already.")
    kept.ends_at = max(at, kept.starts_at)
    kept.save(update_fields=["ends_at"])
    record(
        events.ABSENCE_ENDED,
        actor=actor,
        subjects=[Subject("absence", str(kept.pk)), Subject("person", str(kept.person.ref))],
        data={"ends_at": kept.ends_at.isoformat()},
    )
    return kept


def absences_of(person: Person, *, at: datetime) -> list[Absence]:
    """Return the absences of somebody that run or are planned, the next first."""
    coming = Absence.objects.filter(person=person, ends_at__gt=at).exclude(ends_at__lte=at)
    return [one for one in coming.select_related("deputy").order_by("starts_at", "pk") if one.ends_at > one.starts_at]


def _problems(
    person: Person, deputy: Person, starts_at: datetime, ends_at: datetime, reason: str, at: datetime
) -> Iterator[Reason]:
    if not person.is_active:
        yield Reason("left", "You are not active any more.")
    if deputy.pk == person.pk:
        yield Reason("deputy_is_self", "Choose somebody else, who is there while you are not.", "deputy")
    elif not deputy.is_active:
        yield Reason("deputy_left", f"{deputy.display_name} is not active any more.", "deputy")
    if ends_at <= starts_at:
        yield Reason("ends_before_start", "The end must be later than the start, and later than now.", "ends_at")
    elif ends_at - starts_at > LONGEST:
        yield Reason("too_long", "An absence is at most a year long.", "ends_at")
    else:
        overlapping = Absence.objects.filter(person=person, starts_at__lt=ends_at, ends_at__gt=starts_at)
        if other := next((one for one in overlapping if one.ends_at > one.starts_at), None):
            yield Reason(
                "overlaps", f"You are away already from {other.starts_at:%d %B} until {other.ends_at:%d %B %Y}."
            )
    if starts_at > at + LONGEST:
        yield Reason("starts_too_late", "The start may be at most a year ahead.", "starts_at")
    if len(reason) > LONGEST_REASON:
        yield Reason("reason_too_long", f"Keep it under {LONGEST_REASON} characters.", "reason")
