"""Questions about break-glass: what is open, whose review waits or is overdue, what evidence lists as an exception."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import F, Q, QuerySet

from governance.access.approvers import deciders
from governance.access.break_glass import WITH_GLASS, reviewers
from governance.access.models import BreakGlass
from governance.core.errors import NotFound
from governance.identity.models import Person

OPEN, DUE, OVERDUE, REVIEWED = "open", "due", "overdue", "reviewed"
STATES = (OPEN, DUE, OVERDUE, REVIEWED)


def break_glasses(
    *, at: datetime, state: str = "", application_ids: Collection[int] | None = None
) -> QuerySet[BreakGlass]:
    """Return break-glass in a state, the latest first: still open, review due, review overdue, reviewed; "" for all."""
    found = BreakGlass.objects.select_related(*WITH_GLASS, "review__reviewer")
    if application_ids is not None:
        found = found.filter(grant__application_id__in=application_ids)
    conditions = {
        OPEN: Q(grant__ends_at__gt=at),
        DUE: Q(review__isnull=True),
        OVERDUE: Q(review__isnull=True, review_due_at__lte=at),
        REVIEWED: Q(review__isnull=False),
    }
    return (found.filter(conditions[state]) if state else found).order_by("-id")


def break_glass(break_glass_id: int) -> BreakGlass:
    """Return one break-glass with its review. Raises NotFound."""
    found = BreakGlass.objects.select_related(*WITH_GLASS, "review__reviewer").filter(pk=break_glass_id).first()
    if found is None:
        raise NotFound("There is no such emergency access.")
    return found


def reviews_for(reviewer: Person) -> list[BreakGlass]:
    """Return the reviews this person may write and nobody wrote yet, what is due first. Four statements at most."""
    waiting = list(
        BreakGlass.objects.filter(review__isnull=True)
        .exclude(person=reviewer)
        .select_related(*WITH_GLASS, "review")
        .order_by("review_due_at", "id")[:MOST_REVIEWS]
    )
    if not waiting:
        return []
    known = deciders({one.entitlement.application_id for one in waiting})
    return [one for one in waiting if any(who.pk == reviewer.pk for who in reviewers(one, known))]


#: More unwritten reviews than this are not a list any more.
MOST_REVIEWS = 200


def exceptions(*, opened_from: datetime, opened_before: datetime, at: datetime) -> QuerySet[BreakGlass]:
    """Return break-glass of a period that evidence lists as an exception.

    That is what was not justified, reviewed late, or not reviewed although its time has passed as of `at`.
    """
    is_unreviewed = Q(review__isnull=True, review_due_at__lte=at)
    is_unjustified = Q(review__is_justified=False)
    is_late = Q(review__written_at__gt=F("review_due_at"))
    found = BreakGlass.objects.filter(opened_at__gte=opened_from, opened_at__lt=opened_before)
    return (
        found.filter(is_unreviewed | is_unjustified | is_late)
        .select_related(*WITH_GLASS, "review__reviewer")
        .order_by("opened_at", "id")
    )
