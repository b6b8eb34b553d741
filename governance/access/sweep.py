"""What time causes: grants that begin or end, requests that meet silence or lapse.

Late work never shows stale access: reads use the clock."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from governance.access import (
    birthright,
    break_glass,
    end_questions,
    endings,
    grants,
    requests,
    retiring,
    starting,
    withholding,
)
from governance.access.escalating import escalate_due
from governance.access.models import AccessRequest, Grant, RequestState, Withheld
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.statements import row, rows

#: Large enough that the cost of a transaction is shared, small enough that nobody waits long for a person it holds.
BATCH = 1_000


def sweep() -> int:
    """Order everything that is due by now, in batches; return how much was done.

    The first batch that is not full is the last: while hundreds fall due each second there is no end to what is due.
    Several sweepers may run at once: each works on people the others have not locked.
    """
    done = swept = sweep_batch(BATCH)
    while swept >= BATCH:
        swept = sweep_batch(BATCH)
        done += swept
    closed = lapse_requests() + close_requests_for_retired()
    while ended := retiring.end_batch(BATCH):
        done += ended
    return done + escalate_batch(BATCH) + closed + break_glass.note_overdue(BATCH)


@transaction.atomic
def sweep_batch(limit: int) -> int:
    """Order up to `limit` starts and as many ends that are due; return how many. One transaction, set-based."""
    at = now()
    actor = Actor.system("expiry")
    return _order_starts(limit, at=at, actor=actor) + _order_ends(limit, at=at, actor=actor)


@transaction.atomic
def escalate_batch(limit: int) -> int:
    """Ask the fallback of up to `limit` requests that met silence for too long; return how many. One transaction."""
    return escalate_due(limit, at=now(), actor=Actor.system("escalation"))


def _order_starts(limit: int, *, at: datetime, actor: Actor) -> int:
    due = [key for (key,) in rows(_LOCK_STARTING, {"at": at, "limit": limit})]
    if not due:
        return 0
    beginning = list(Grant.objects.filter(_begins(at), pk__in=due).order_by("starts_at", "pk"))
    eligible = starting.call_off_ineligible(beginning, at=at, actor=actor)
    grants.order_starts(withholding.call_off_forbidden(eligible, at=at, actor=actor), at=at, actor=actor)
    return len(beginning)


def _order_ends(limit: int, *, at: datetime, actor: Actor) -> int:
    due = [key for (key,) in rows(_LOCK_ENDING, {"at": at, "limit": limit})]
    if not due:
        return 0
    ended = dict(rows(_STILL_ENDED, {"at": at, "ids": due}))
    kept = end_questions.ask_at_end(ended, at=at, actor=actor)
    endings.order_ends_of({key: ended[key] for key in ended if key not in kept}, at=at, actor=actor)
    return len(ended)


#: The people are locked, not their grants: every writer of grants locks the person first. Who is locked is skipped and
#: others are taken in their stead, so that one long transaction holds up nobody else's access.
_LOCK_ENDING = """
SELECT due.id FROM access_grant due JOIN identity_person person ON person.id = due.person_id
WHERE due.end_ordered_at IS NULL AND due.ends_at <= %(at)s
ORDER BY due.ends_at, due.id LIMIT %(limit)s FOR NO KEY UPDATE OF person SKIP LOCKED
"""
_LOCK_STARTING = """
SELECT due.id FROM access_grant due JOIN identity_person person ON person.id = due.person_id
WHERE due.start_ordered_at IS NULL AND due.end_ordered_at IS NULL AND due.starts_at <= %(at)s AND due.ends_at > %(at)s
ORDER BY due.starts_at, due.id LIMIT %(limit)s FOR NO KEY UPDATE OF person SKIP LOCKED
"""
#: Asked anew once the people are locked: what was seen before may have been changed by who held them.
_STILL_ENDED = """
SELECT due.id, due.revision FROM access_grant due
WHERE due.id = ANY(%(ids)s::bigint[]) AND due.end_ordered_at IS NULL AND due.ends_at <= %(at)s
"""


def next_due_at() -> datetime | None:
    """Return when the next start, end or escalation is due, which may be past; none when nothing is known.

    Three index look-ups.
    """
    found = row(_NEXT_DUE)
    return found[0] if found else None


_NEXT_DUE = """
SELECT least(
    (SELECT min(ends_at) FROM access_grant WHERE end_ordered_at IS NULL),
    (SELECT min(starts_at) FROM access_grant WHERE start_ordered_at IS NULL AND end_ordered_at IS NULL),
    (SELECT min(escalates_at) FROM access_accessrequest WHERE escalates_at IS NOT NULL)
)
"""


def reconsider_withheld() -> int:
    """Give what rules about duties no longer forbid to everybody from whom something is withheld; return to how many.

    In batches, each a transaction, so that it may stop anywhere and run twice.
    """
    waiting = Withheld.objects.filter(ended_at__isnull=True).order_by("person_id").distinct("person_id")
    people = list(waiting.values_list("person_id", flat=True))
    for start in range(0, len(people), BATCH):
        batch = people[start : start + BATCH]
        with transaction.atomic():
            birthright.lock(batch)
            birthright.apply(batch, at=now(), actor=Actor.system("duties"))
    return len(people)


def lapse_requests() -> int:
    """Close the requests nobody answered in time; return how many."""
    at = now()
    overdue = AccessRequest.objects.filter(state=RequestState.PENDING, lapses_at__lte=at).order_by("lapses_at")
    return sum(
        requests.lapse(request, actor=Actor.system("expiry")) for request in overdue.select_related("person")[:BATCH]
    )


def close_requests_for_retired() -> int:
    """Close the requests that wait for a role or an application that is gone; return how many."""
    waiting = requests.waiting_for_what_is_gone(BATCH)
    return sum(requests.close_for_retired(request, actor=Actor.system("expiry")) for request in waiting)


def sweep_lag_seconds() -> float:
    """Return for how many seconds the oldest start or end has been due and not ordered; 0 when none is."""
    at = now()
    oldest_end = Grant.objects.filter(end_ordered_at__isnull=True, ends_at__lte=at).order_by("ends_at").first()
    oldest_start = Grant.objects.filter(_begins(at)).order_by("starts_at").first()
    due = [oldest_end.ends_at] if oldest_end else []
    due += [oldest_start.starts_at] if oldest_start else []
    return max((at - instant).total_seconds() for instant in due) if due else 0.0


def _begins(at: datetime) -> Q:
    return Q(start_ordered_at__isnull=True, end_ordered_at__isnull=True, starts_at__lte=at, ends_at__gt=at)
