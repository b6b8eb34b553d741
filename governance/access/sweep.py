"""What time causes: grants that begin or end, requests that lapse.

Late work never shows stale access: reads use the clock."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from governance.access import birthright, endings, grants, requests, withholding
from governance.access.models import AccessRequest, Grant, RequestState, Withheld
from governance.core.actor import Actor
from governance.core.clock import now
from governance.identity.models import Person

BATCH = 500


def sweep() -> int:
    """Order everything that is due by now, in batches, until nothing is left; return how much was done.

    Several sweepers may run at once: each works on people the others have not locked.
    """
    done = 0
    while swept := sweep_batch(BATCH):
        done += swept
    return done + lapse_requests()


@transaction.atomic
def sweep_batch(limit: int) -> int:
    """Order the starts and ends due of up to `limit` grants. One transaction."""
    at = now()
    due = _due(at)
    waiting = due.order_by("ends_at").values_list("person_id", flat=True)[:limit]
    people = list(
        Person.objects.select_for_update(no_key=True, skip_locked=True)
        .filter(pk__in=list(waiting))
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    found = list(due.select_for_update(no_key=True).filter(person_id__in=people).order_by("pk")[:limit])
    actor = Actor.system("expiry")
    beginning = [grant for grant in found if _begins(grant, at)]
    grants.order_starts(withholding.call_off_forbidden(beginning, at=at, actor=actor), at=at, actor=actor)
    ended = [grant for grant in found if grant.ends_at <= at and grant.end_ordered_at is None]
    endings.order_ends(ended, at=at, actor=actor)
    return len(found)


def reconsider_withheld() -> int:
    """Give what rules about duties no longer forbid to everybody from whom something is withheld; return to how many.

    In batches, each a transaction, so that it may stop anywhere and run twice.
    """
    waiting = Withheld.objects.filter(ended_at__isnull=True).order_by("person_id").distinct("person_id")
    people = list(waiting.values_list("person_id", flat=True))
    for start in range(0, len(people), BATCH):
        with transaction.atomic():
            birthright.apply(people[start : start + BATCH], at=now(), actor=Actor.system("duties"))
    return len(people)


def lapse_requests() -> int:
    """Close the requests nobody answered in time; return how many."""
    at = now()
    overdue = AccessRequest.objects.filter(state=RequestState.PENDING, lapses_at__lte=at).order_by("lapses_at")
    return sum(
        requests.lapse(request, actor=Actor.system("expiry")) for request in overdue.select_related("person")[:BATCH]
    )


def sweep_lag_seconds() -> float:
    """Return for how many seconds the oldest start or end has been due and not ordered; 0 when none is."""
    at = now()
    oldest_end = Grant.objects.filter(end_ordered_at__isnull=True, ends_at__lte=at).order_by("ends_at").first()
    oldest_start = (
        Grant.objects.filter(start_ordered_at__isnull=True, starts_at__lte=at, ends_at__gt=at)
        .order_by("starts_at")
        .first()
    )
    due = [oldest_end.ends_at] if oldest_end else []
    due += [oldest_start.starts_at] if oldest_start else []
    return max((at - instant).total_seconds() for instant in due) if due else 0.0


def _due(at: datetime) -> QuerySet[Grant]:
    return Grant.objects.filter(
        Q(end_ordered_at__isnull=True, ends_at__lte=at)
        | Q(start_ordered_at__isnull=True, starts_at__lte=at, ends_at__gt=at)
    )


def _begins(grant: Grant, at: datetime) -> bool:
    return grant.start_ordered_at is None and grant.ends_at > at
