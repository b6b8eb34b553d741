"""The writers of engagements: open, extend, close, and have a bundle built."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.engagements import events
from governance.engagements.models import AuditRequest, Engagement, EngagementBundle
from governance.engagements.rights import check_host, check_may_read, check_runs, comes_from_outside, refuse, subject_of
from governance.engagements.wanted import USUAL
from governance.evidence import actions as evidence
from governance.evidence.controls import framework_named
from governance.evidence.models import DefinitionVersion, EvidenceBundle
from governance.evidence.periods import period
from governance.evidence.reports.registry import UNBUILT
from governance.ledger.recording import record

LONGEST_DAYS = 730
_TOO_LONG = "Guests look for two years at most. It can be extended later."


@transaction.atomic
def open_engagement(
    name: str,
    framework: str,
    *,
    first: object,
    last: object,
    zone: str,
    ends_on: date,
    applications: Collection[str] = (),
    actor: Actor,
) -> Engagement:
    """Open an engagement with the usual requests that the framework's reports answer.

    `first` to `last` are civil days in `zone`, both included; guests see it until the end of `ends_on` there.
    Raises Invalid naming `name`, `framework`, `from`, `to`, `zone`, `ends_on` or `applications`, and NotAllowed.
    """
    check_host(actor)
    at = now()
    if not name.strip() or len(name) > 120:
        raise Invalid({"name": "Give it a name of 1 to 120 characters."})
    asked = framework_named(framework)
    days = period(first, last, zone, now=at)
    within = evidence.checked_applications(applications)
    engagement = Engagement.objects.create(
        name=name.strip(),
        framework=framework,
        first_day=days.first,
        last_day=days.last,
        zone=zone,
        applications=list(within),
        ends_at=_end(ends_on, zone, at),
        opened_at=at,
        opened_by_ref=actor.ref,
    )
    known = {report.id for report in asked.reports} | {one.id for one in UNBUILT}
    usual = [one for one in USUAL if one.report in known]
    AuditRequest.objects.bulk_create(
        AuditRequest(
            engagement=engagement,
            number=number,
            code=one.code,
            report=one.report,
            wording=one.wording,
            asked_by_ref=actor.ref,
            asked_at=at,
            changed_at=at,
        )
        for number, one in enumerate(usual, start=1)
    )
    data = {
        "framework": framework,
        "first": str(days.first),
        "last": str(days.last),
        "zone": zone,
        "applications": list(within),
        "ends_at": engagement.ends_at.isoformat(),
        "requests": len(usual),
    }
    record(events.ENGAGEMENT_OPENED, actor=actor, subjects=[subject_of(engagement)], data=data)
    return engagement


@transaction.atomic
def extend(engagement: Engagement, ends_on: date, *, actor: Actor) -> None:
    """Have its guests look until the end of another day. Raises Invalid naming `ends_on`, Conflict and NotAllowed."""
    check_host(actor)
    ends_at = _end(ends_on, engagement.zone, now())
    changed = Engagement.objects.filter(pk=engagement.pk, closed_at__isnull=True).update(ends_at=ends_at)
    if not changed:
        raise Conflict("This engagement is closed.")
    engagement.refresh_from_db()
    data = {"ends_at": ends_at.isoformat()}
    record(events.ENGAGEMENT_EXTENDED, actor=actor, subjects=[subject_of(engagement)], data=data)


@transaction.atomic
def close(engagement: Engagement, *, actor: Actor) -> None:
    """Close it: its guests see nothing of it any more, and what was said stays. Raises Conflict and NotAllowed."""
    check_host(actor)
    changed = Engagement.objects.filter(pk=engagement.pk, closed_at__isnull=True).update(closed_at=now())
    if not changed:
        raise Conflict("This engagement is closed already.")
    engagement.refresh_from_db()
    record(events.ENGAGEMENT_CLOSED, actor=actor, subjects=[subject_of(engagement)])


def build_bundle(
    engagement: Engagement, *, definition: DefinitionVersion | None = None, actor: Actor
) -> EvidenceBundle:
    """Ask for a bundle of exactly what the engagement is about, or of what a definition chooses of it.

    Call outside of a transaction: that a guest was refused is to stay.
    Guests do not choose a definition: it could hold reports that are not of the engagement's framework.
    Raises Invalid naming `definition` or `applications`, Conflict and NotAllowed.
    """
    check_may_read(engagement, actor)
    check_runs(engagement)
    if definition is not None and comes_from_outside(actor):
        refuse(engagement, "Which definition is used is chosen by whoever invited you.", actor=actor)
    with transaction.atomic():
        bundle = evidence.request_bundle(
            engagement.framework,
            first=engagement.first_day,
            last=engagement.last_day,
            zone=engagement.zone,
            applications=engagement.applications,
            definition=definition,
            actor=actor,
        )
        EngagementBundle.objects.create(engagement=engagement, bundle=bundle)
    return bundle


def _end(day: date, zone: str, at: datetime) -> datetime:
    """Return the instant at which the day is over there. Raises Invalid naming `ends_on`."""
    # Before the day after it is asked for: the last day of the calendar has none.
    if day - at.date() > timedelta(days=LONGEST_DAYS):
        raise Invalid({"ends_on": _TOO_LONG})
    ends_at = datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(zone)).astimezone(UTC)
    if ends_at <= at:
        raise Invalid({"ends_on": "This day is over. Choose a later one."})
    if ends_at - at > timedelta(days=LONGEST_DAYS):
        raise Invalid({"ends_on": _TOO_LONG})
    return ends_at
