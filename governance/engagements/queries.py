"""Questions about engagements, for pages and scripts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.db.models import Count, Q, QuerySet

from governance.core.errors import NotFound
from governance.engagements.models import (
    WAITS_FOR_COMPANY,
    AuditRequest,
    AuditSample,
    Engagement,
    EngagementBundle,
    Guest,
    Message,
    Population,
    RequestState,
)
from governance.evidence.models import EvidenceBundle
from governance.identity.models import Person


def engagements(*, guest: Person | None = None) -> QuerySet[Engagement]:
    """Return engagements, newest first, with how many requests wait for whom; only those of a guest, where given."""
    found = Engagement.objects.annotate(
        total=Count("requests"),
        waiting=Count("requests", filter=Q(requests__state__in=WAITS_FOR_COMPANY)),
        answered=Count("requests", filter=Q(requests__state=RequestState.ANSWERED)),
        accepted=Count("requests", filter=Q(requests__state=RequestState.ACCEPTED)),
    ).order_by("-opened_at", "-id")
    if guest is not None:
        mine = Guest.objects.filter(person=guest, withdrawn_at__isnull=True).values("engagement")
        found = found.filter(pk__in=mine)
    return found


def engagement(ref: uuid.UUID | str) -> Engagement:
    """Return the engagement. Raises NotFound."""
    found = Engagement.objects.filter(ref=ref).first()
    if found is None:
        raise NotFound("There is no such engagement.")
    return found


def requests_of(one: Engagement) -> Sequence[AuditRequest]:
    """Return its requests, in the order of their numbers."""
    return list(one.requests.order_by("number"))


def request_of(one: Engagement, number: int) -> AuditRequest:
    """Return a request of it. Raises NotFound."""
    found = one.requests.select_related("engagement").filter(number=number).first()
    if found is None:
        raise NotFound("There is no such request in this engagement.")
    return found


def guests_of(one: Engagement) -> Sequence[Guest]:
    """Return who is invited, those that were withdrawn as well."""
    return list(one.guests.select_related("person").order_by("id"))


def guest_of(one: Engagement, guest_id: int) -> Guest:
    """Return an invitation of it. Raises NotFound."""
    found = one.guests.select_related("engagement").filter(pk=guest_id).first()
    if found is None:
        raise NotFound("There is no such invitation in this engagement.")
    return found


def bundles_of(one: Engagement) -> Sequence[EvidenceBundle]:
    """Return the bundles that were built for it, newest first."""
    found = (
        EngagementBundle.objects.filter(engagement=one).select_related("bundle__definition__definition").order_by("-id")
    )
    return [each.bundle for each in found]


def bundle_of(one: Engagement, ref: uuid.UUID | str) -> EvidenceBundle:
    """Return a bundle that was built for it. Raises NotFound."""
    found = (
        EngagementBundle.objects.filter(engagement=one, bundle__ref=ref)
        .select_related("bundle__definition__definition")
        .first()
    )
    if found is None:
        raise NotFound("There is no such bundle in this engagement.")
    return found.bundle


def messages_of(asked: AuditRequest) -> Sequence[Message]:
    """Return what was said about a request, oldest first."""
    return list(asked.messages.select_related("by", "population", "bundle").order_by("id"))


def populations_of(asked: AuditRequest) -> Sequence[Population]:
    """Return the populations that were taken for a request, newest first, each with its samples."""
    return list(asked.populations.prefetch_related("samples").order_by("-id")[:20])


def population_of(asked: AuditRequest, population_id: int) -> Population:
    """Return a population of a request. Raises NotFound."""
    found = asked.populations.select_related("request__engagement").filter(pk=population_id).first()
    if found is None:
        raise NotFound("There is no such population.")
    return found


def sample_of(asked: AuditRequest, sample_id: int) -> AuditSample:
    """Return a sample of a request. Raises NotFound."""
    found = (
        AuditSample.objects.select_related("population__request__engagement")
        .filter(population__request=asked, pk=sample_id)
        .first()
    )
    if found is None:
        raise NotFound("There is no such sample.")
    return found
