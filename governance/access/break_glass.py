"""The writers of break-glass: immediate, short and loud, and reviewed within one working day by somebody else."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from governance.access import duties, events, grants
from governance.access.approvers import Deciders, deciders
from governance.access.models import BreakGlass, BreakGlassReview, Grant, GrantCause
from governance.access.queries import covering
from governance.access.receipts import plain
from governance.access.waiting import locked_person
from governance.catalog.models import AccessPolicyVersion, Entitlement
from governance.catalog.queries import policy_in_force
from governance.catalog.stages import Stage, approvers_of
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Refused
from governance.identity.models import Person
from governance.identity.selection import selects
from governance.ledger.recording import Record, Subject, record, record_many
from governance.policy.break_glass import GlassFacts, ReviewFacts, refuse_glass, refuse_review
from governance.policy.durations import whole_seconds
from governance.policy.working_days import one_working_day_after


@transaction.atomic
def break_glass(
    person: Person, entitlement: Entitlement, *, duration: timedelta, reason: str, actor: Actor
) -> BreakGlass:
    """Give somebody access now, without asking anybody, and have everybody told who has to know.

    Rules about duties are shown and recorded, and stop nothing. Raises Refused with every reason why not.
    """
    at = now()
    person = locked_person(person)
    version = policy_in_force(entitlement.policy_id, at)
    if reasons := refuse_glass(_facts(person, entitlement, version, duration=duration, reason=reason, at=at)):
        raise Refused(reasons)
    broken = duties.of_access(person, entitlement, starts_at=at, ends_at=at + duration, at=at)
    (grant,) = grants.start_many([_grant(person, entitlement, at, duration)], at=at, actor=actor)
    opened = BreakGlass.objects.create(
        grant=grant,
        person=person,
        entitlement=entitlement,
        policy_version=version,
        reason=reason.strip(),
        duties=[plain(asdict(one)) for one in broken],
        opened_at=at,
        review_due_at=review_due_at(at),
        correlation_id=actor.correlation_id,
    )
    _record_opened(opened, grant, actor=actor)
    return opened


@transaction.atomic
def review(
    opened: BreakGlass, *, reviewer: Person, is_justified: bool, done: str, follow_up: str = "", actor: Actor
) -> BreakGlassReview:
    """Say whether breaking the glass was justified, what was done with it, and what follows. Once, and for good.

    Raises Refused with every reason why not, and Conflict when it was reviewed already.
    """
    at = now()
    opened = (
        BreakGlass.objects.select_for_update(no_key=True, of=("self",)).select_related(*WITH_GLASS).get(pk=opened.pk)
    )
    earlier = BreakGlassReview.objects.filter(break_glass=opened).select_related("reviewer").first()
    if earlier is not None:
        raise Conflict(f"{earlier.reviewer.display_name} reviewed this at {earlier.written_at:%H:%M on %d %B %Y} UTC.")
    if reasons := refuse_review(_review_facts(opened, reviewer, done, follow_up)):
        raise Refused(reasons)
    written = BreakGlassReview.objects.create(
        break_glass=opened,
        reviewer=reviewer,
        is_justified=is_justified,
        done=done.strip(),
        follow_up=follow_up.strip(),
        written_at=at,
        correlation_id=actor.correlation_id,
    )
    _record_reviewed(opened, written, actor=actor)
    return written


def note_overdue(limit: int) -> int:
    """Record once for each review that was not written in time that it is overdue; return how many. Set-based."""
    at = now()
    with transaction.atomic():
        late = list(
            BreakGlass.objects.filter(overdue_noted_at__isnull=True, review__isnull=True, review_due_at__lte=at)
            .select_related("grant", "person")
            .select_for_update(no_key=True, of=("self",), skip_locked=True)
            .order_by("review_due_at")[:limit]
        )
        if not late:
            return 0
        BreakGlass.objects.filter(pk__in=[one.pk for one in late]).update(overdue_noted_at=at)
        actor = Actor.system("expiry")
        record_many(
            Record(
                events.BREAK_GLASS_OVERDUE,
                actor=actor,
                subjects=_subjects(one),
                data={"review_due_at": one.review_due_at.isoformat()},
            )
            for one in late
        )
    return len(late)


def reviewers(opened: BreakGlass, known: Deciders | None = None) -> list[Person]:
    """Return who may write the review, now: whom the policy says, else security; never the person themself."""
    known = known or deciders([opened.entitlement.application_id])
    return known.eligible(
        Stage(approvers_of(opened.policy_version.break_glass_reviewer or {})),
        person=opened.person,
        application_id=opened.entitlement.application_id,
        excluded_ids=[opened.person_id],
    )


def review_due_at(opened_at: datetime) -> datetime:
    """Return until when a review has to be written: one working day of the company later."""
    environment = settings.ENVIRONMENT
    zone = ZoneInfo(environment.company_zone)
    return one_working_day_after(opened_at, zone=zone, holidays=environment.holiday_dates)


#: Everything a page or a review needs to know of it, without a further statement.
WITH_GLASS = (
    "grant__give_operation",
    "grant__take_operation",
    "person__manager__manager",
    "entitlement__application",
    "policy_version__policy",
)


def _facts(
    person: Person,
    entitlement: Entitlement,
    version: AccessPolicyVersion,
    *,
    duration: timedelta,
    reason: str,
    at: datetime,
) -> GlassFacts:
    application = entitlement.application
    return GlassFacts(
        person_name=person.display_name,
        person_is_active=person.is_active,
        name=f"{entitlement.name} in {application.name}",
        is_retired=entitlement.retired_at is not None or application.retired_at is not None,
        policy_name=version.policy.name,
        up_to=version.break_glass_up_to,
        may=selects(version.may_break_glass, person),
        already_has_it=Grant.objects.filter(covering(at), person=person, entitlement=entitlement).exists(),
        duration=duration,
        reason=reason,
    )


def _review_facts(opened: BreakGlass, reviewer: Person, done: str, follow_up: str) -> ReviewFacts:
    return ReviewFacts(
        reviewer_id=reviewer.pk,
        reviewer_is_active=reviewer.is_active,
        person_id=opened.person_id,
        eligible_ids=frozenset(one.pk for one in reviewers(opened)),
        done=done,
        follow_up=follow_up,
    )


def _grant(person: Person, entitlement: Entitlement, at: datetime, duration: timedelta) -> grants.NewGrant:
    return grants.NewGrant(
        person_id=person.pk,
        entitlement_id=entitlement.pk,
        application_id=entitlement.application_id,
        cause=GrantCause.BREAK_GLASS,
        starts_at=at,
        ends_at=at + duration,
    )


def _subjects(opened: BreakGlass) -> list[Subject]:
    return [
        Subject("break_glass", str(opened.pk)),
        Subject("person", str(opened.person.ref)),
        Subject("application", str(opened.grant.application_id)),
        Subject("entitlement", str(opened.entitlement_id)),
        Subject("grant", str(opened.grant_id)),
    ]


def _record_opened(opened: BreakGlass, grant: Grant, *, actor: Actor) -> None:
    record(
        events.BREAK_GLASS_OPENED,
        actor=actor,
        subjects=_subjects(opened),
        data={
            "duration_seconds": whole_seconds(grant.ends_at - grant.starts_at),
            "ends_at": grant.ends_at.isoformat(),
            "policy_version": opened.policy_version_id,
            "review_due_at": opened.review_due_at.isoformat(),
            "breaks_duties": [one["slug"] for one in opened.duties],
        },
        private={"reason": (str(opened.person.ref), opened.reason)},
    )


def _record_reviewed(opened: BreakGlass, written: BreakGlassReview, *, actor: Actor) -> None:
    owner = str(opened.person.ref)
    said = {"done": written.done, "follow_up": written.follow_up}
    record(
        events.BREAK_GLASS_REVIEWED,
        actor=actor,
        subjects=[*_subjects(opened), Subject("person", str(written.reviewer.ref))],
        data={
            "justified": written.is_justified,
            "seconds_late": max(0, int((written.written_at - opened.review_due_at).total_seconds())),
        },
        private={name: (owner, text) for name, text in said.items() if text},
    )
