"""Questions about reviews of the log."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, QuerySet

from governance.core.clock import now
from governance.core.errors import NotFound
from governance.ledger.models import Entry
from governance.log_reviews.models import LogReview

#: What somebody who looks through the log looks at, in the order of the page: event → what it is called.
WORTH_LOOKING = {
    "finding.opened": "Changes past Gatehouse, and rows that differ from the ledger",
    "log.forgery_refused": "Entries that somebody tried to forge",
    "login.failed": "Sign-ins that failed",
    "break_glass.opened": "Uses of emergency access",
    "role.assigned": "Roles in Gatehouse given",
    "role.removed": "Roles in Gatehouse taken",
    "token.issued": "Tokens issued",
    "password.set": "Passwords set",
    "sod_exception.granted": "Exceptions from rules about duties",
    "policy.changed": "Policies changed",
    "configuration.changed": "Settings changed",
    "evidence.downloaded": "Evidence that left the house",
    "engagement.refused": "What guests asked for and were refused",
    "subject.erased": "People erased",
    "legal_hold.released": "Legal holds released",
    "log.key_rotated": "Changes of the signing key",
    "log.reopened": "Breaks of the ledger",
    "log.recovered": "Recoveries of the ledger",
    "checkpoint.anchor_failed": "Anchors that took no head",
    "operation.failed": "Orders to applications that failed",
}


def reviews(limit: int = 100) -> Sequence[LogReview]:
    """Return the newest reviews, newest first."""
    return list(LogReview.objects.select_related("signed_by").order_by("-starts_at")[:limit])


def review(review_id: int) -> LogReview:
    """Return a review. Raises NotFound."""
    found = LogReview.objects.select_related("signed_by").filter(pk=review_id).first()
    if found is None:
        raise NotFound("There is no such review.")
    return found


def waiting() -> QuerySet[LogReview]:
    """Return the reviews that can be signed and are not."""
    return LogReview.objects.filter(signed_at__isnull=True, ends_at__lte=now())


def counts_of(one: LogReview) -> dict[str, int]:
    """Return how many sealed entries of each kind worth looking at its stretch has; none is zero. One statement."""
    found = Entry.objects.filter(at__gte=one.starts_at, at__lt=one.ends_at, event__in=list(WORTH_LOOKING))
    counted = dict(found.order_by().values_list("event").annotate(number=Count("pk")))
    return {event: counted.get(event, 0) for event in WORTH_LOOKING}
