"""The writers of reviews of the log: how often, open what is due, sign."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.identity.models import RoleName
from governance.identity.queries import roles_of
from governance.ledger.recording import Subject, record
from governance.log_reviews import events
from governance.log_reviews.models import LONGEST_DAYS, SHORTEST_DAYS, USUAL_DAYS, Cadence, LogReview
from governance.log_reviews.queries import counts_of

#: Days after its end in which a review is in time: two working days over a weekend.
GRACE = timedelta(days=4)
#: Reviews opened in one go: after a long pause the rest follows with the next tick.
BATCH = 100
_LONGEST = 4000
_MAY_SIGN = {RoleName.SECURITY_ADMIN.value, RoleName.AUDITOR.value}


def days_between() -> int:
    """Return how many days a review covers."""
    found = Cadence.objects.order_by("-id").values_list("days", flat=True).first()
    return USUAL_DAYS if found is None else found


@transaction.atomic
def set_cadence(days: int, *, actor: Actor) -> Cadence:
    """Say how often the log is looked through, from the next review on.

    Raises Invalid naming `days`, and NotAllowed.
    """
    if actor.person_id is None or RoleName.SECURITY_ADMIN.value not in roles_of(actor.person_id):
        raise NotAllowed("How often the log is looked through is decided by security administrators.")
    if not SHORTEST_DAYS <= days <= LONGEST_DAYS:
        raise Invalid({"days": f"Give {SHORTEST_DAYS} to {LONGEST_DAYS} days."})
    before = days_between()
    cadence = Cadence.objects.create(days=days, set_by_ref=actor.ref, set_at=now())
    data = {"days": days, "days_before": before}
    record(events.LOG_REVIEW_CADENCE_CHANGED, actor=actor, subjects=[Subject("log_review", "cadence")], data=data)
    return cadence


def open_due(*, actor: Actor) -> int:
    """Open a review for each stretch that is over; return how many. None is left out, however long nobody looked.

    The first stretch begins when this runs for the first time: it is opened at once and grows until it is over.
    """
    opened = 0
    while opened < BATCH and _open_next(actor):
        opened += 1
    return opened


@transaction.atomic
def _open_next(actor: Actor) -> bool:
    at = now()
    last = LogReview.objects.select_for_update().order_by("-starts_at").first()
    if last is not None and last.ends_at > at:
        return False
    starts_at = at if last is None else last.ends_at
    ends_at = starts_at + timedelta(days=days_between())
    review, is_new = LogReview.objects.get_or_create(
        starts_at=starts_at, defaults={"ends_at": ends_at, "due_at": ends_at + GRACE, "opened_at": at}
    )
    if is_new:
        data = {
            "starts_at": review.starts_at.isoformat(),
            "ends_at": review.ends_at.isoformat(),
            "due_at": review.due_at.isoformat(),
        }
        record(events.LOG_REVIEW_OPENED, actor=actor, subjects=[_subject(review)], data=data)
    return is_new


@transaction.atomic
def sign(review: LogReview, findings: str, follow_up: str = "", *, actor: Actor) -> None:
    """Sign what was found, with what there was to look at.

    Raises Invalid naming `findings` or `follow_up`, Conflict before its end or when it is signed, and NotAllowed.
    """
    if actor.person_id is None or not _MAY_SIGN & roles_of(actor.person_id):
        raise NotAllowed("The log is looked through by security administrators and auditors.")
    problems = {}
    if not findings.strip() or len(findings) > _LONGEST:
        problems["findings"] = f"Say what you found, or that you found nothing, in 1 to {_LONGEST} characters."
    if len(follow_up) > _LONGEST:
        problems["follow_up"] = f"At most {_LONGEST} characters."
    if problems:
        raise Invalid(problems)
    at = now()
    if review.ends_at > at:
        raise Conflict("This stretch is not over. It can be signed when it is.")
    counts = counts_of(review)
    signed = LogReview.objects.filter(pk=review.pk, signed_at__isnull=True).update(
        signed_at=at,
        signed_by_id=actor.person_id,
        counts=counts,
        findings=findings.strip(),
        follow_up=follow_up.strip(),
    )
    if not signed:
        raise Conflict("Somebody signed it already.")
    review.refresh_from_db()
    data = {
        "starts_at": review.starts_at.isoformat(),
        "ends_at": review.ends_at.isoformat(),
        "is_late": at > review.due_at,
        "looked_at": sum(counts.values()),
        "has_follow_up": bool(follow_up.strip()),
    }
    record(
        events.LOG_REVIEW_SIGNED,
        actor=actor,
        subjects=[_subject(review)],
        data=data,
        private={"findings": (actor.ref, findings.strip())},
    )


def _subject(review: LogReview) -> Subject:
    return Subject("log_review", str(review.pk))
