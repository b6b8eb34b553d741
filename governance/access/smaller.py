"""Less than was asked for: a request is declined in favour of a smaller role, which is asked for in its place."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from governance.access import deciding, requests
from governance.access.models import AccessRequest, Grant, RequestState
from governance.access.waiting import locked_pending
from governance.catalog.models import Entitlement
from governance.catalog.queries import policy_in_force
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Reason, Refused
from governance.identity.models import Person
from governance.policy.facts import Ask


def smaller_roles(request: AccessRequest, *, at: datetime) -> list[Entitlement]:
    """Return the roles of the same application that are less risky than what is asked for, the least last.

    Nothing that the person has or waits for already. One statement.
    """
    asked = request.entitlement
    less = Q(risk__lt=asked.risk)
    if asked.is_privileged:
        less |= Q(risk=asked.risk, is_privileged=False)
    held = Grant.objects.filter(person=request.person_id, entitlement=OuterRef("pk"), starts_at__lte=at, ends_at__gt=at)
    waiting = AccessRequest.objects.filter(
        person=request.person_id, entitlement=OuterRef("pk"), state=RequestState.PENDING
    )
    found = Entitlement.objects.filter(less, application=asked.application_id, retired_at=None, is_requestable=True)
    return list(
        found.exclude(Exists(held))
        .exclude(Exists(waiting))
        .select_related("application")
        .order_by("-risk", "name")[:20]
    )


@transaction.atomic
def approve_smaller(
    request: AccessRequest,
    role: Entitlement,
    *,
    approver: Person,
    reason: str,
    duration: timedelta | None = None,
    is_fresh: bool = True,
    actor: Actor,
) -> AccessRequest:
    """Decline a request in favour of a smaller role and return the request for that, which this answers too.

    It is asked for by the same person with the same words, under the policy of the smaller role; where that asks
    others as well, or instead, it waits for them. Raises Conflict when somebody was faster, and Refused with every
    reason why the answer, or the smaller role, is not allowed; then nothing has changed.
    """
    at = now()
    request = locked_pending(request)
    if role.pk not in {one.pk for one in smaller_roles(request, at=at)}:
        raise Refused([Reason("not_smaller", f"{role.name} is not a smaller role they could get.", "role")])
    said = f"{role.name} instead. {reason.strip()}".strip()
    declined = deciding.deny(request, approver=approver, reason=said, actor=actor)
    instead = requests.submit(
        declined.requester, role, _ask(declined, role, duration, at), person=declined.person, actor=actor
    )
    AccessRequest.objects.filter(pk=instead.pk).update(instead_of=declined)
    instead.instead_of = declined
    asked = deciding.eligible_approvers(instead)
    if any(one.pk == approver.pk for one in asked):
        return deciding.approve(instead, approver=approver, reason=reason, is_fresh=is_fresh, actor=actor)
    return instead


def _ask(request: AccessRequest, role: Entitlement, duration: timedelta | None, at: datetime) -> Ask:
    """Return what is asked for in its place: as long as the policy of the smaller role lets it be, at most."""
    longest = policy_in_force(role.policy_id, at).max_duration
    spans = [span for span in (duration, request.duration) if span is not None]
    return Ask(
        duration=min((*spans, longest)) if spans else None,
        purpose=request.purpose,
        reason=request.reason,
        ticket=request.ticket,
        starts_at=request.starts_at if request.starts_at and request.starts_at > at else None,
    )
