"""The writers of requests: ask, withdraw, lapse, close. `access.deciding` answers them. Everything stays on record."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from governance.access import events, facts, subjects
from governance.access.deciding import approve_by_policy, decline_by_policy
from governance.access.models import AccessRequest, Grant, RequestState
from governance.access.receipts import receipt
from governance.access.waiting import close, locked_pending, locked_person
from governance.catalog.models import Entitlement
from governance.catalog.queries import policy_in_force
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Reason, Refused
from governance.identity.models import Person
from governance.ledger.recording import record
from governance.policy.durations import whole_seconds
from governance.policy.facts import Ask
from governance.policy.risk import score
from governance.policy.verdicts import decide_request


@transaction.atomic
def submit(
    requester: Person,
    entitlement: Entitlement,
    ask: Ask,
    *,
    person: Person | None = None,
    extends: Grant | None = None,
    actor: Actor,
) -> AccessRequest:
    """Return a new request for oneself, or by a manager for a report; approved at once when the policy says so.

    `extends` is a running grant whose end should move by `ask.duration` from its present end.
    Raises Refused with every reason why it cannot be asked for.
    """
    at = now()
    person = locked_person(person or requester)
    version = policy_in_force(entitlement.policy_id, at)
    seen = facts.of_request(requester, person, entitlement, version, ask, extends=extends, at=at)
    risk = score(seen)
    verdict = decide_request(seen, risk)
    reasons = (*verdict.reasons, *_extension_problems(extends, person, entitlement, at))
    if reasons:
        raise Refused(reasons)
    request = AccessRequest.objects.create(
        number=_next_number(),
        requester=requester,
        person=person,
        entitlement=entitlement,
        extends=extends,
        duration=ask.duration,
        starts_at=ask.starts_at,
        purpose=ask.purpose,
        reason=ask.reason.strip(),
        ticket=ask.ticket.strip(),
        policy_version=version,
        verdict=receipt(seen, verdict, risk),
        created_at=at,
        lapses_at=at + version.lapses_after,
        correlation_id=actor.correlation_id,
    )
    record(
        events.REQUEST_SUBMITTED,
        actor=actor,
        subjects=subjects.of_request(request),
        data={
            "duration_seconds": whole_seconds(ask.duration),
            "purpose": ask.purpose,
            "policy_version": version.pk,
            "extends": extends.pk if extends else None,
            "automatic": verdict.is_automatic,
        },
        private={"reason": (str(person.ref), request.reason), "ticket": (str(person.ref), request.ticket)},
    )
    if verdict.is_automatic:
        approve_by_policy(request, version, at=at, actor=actor)
    elif verdict.is_denied:
        decline_by_policy(request, version, at=at, actor=actor)
    return request


@transaction.atomic
def withdraw(request: AccessRequest, *, person: Person, actor: Actor) -> AccessRequest:
    """Take back one's own request while it waits.

    Raises Conflict when it no longer waits and Refused when it is somebody else's.
    """
    request = locked_pending(request)
    if person.pk not in (request.requester_id, request.person_id):
        raise Refused([Reason("not_yours", "Only who asked can withdraw a request.")])
    close(request, RequestState.WITHDRAWN, at=now())
    record(events.REQUEST_WITHDRAWN, actor=actor, subjects=subjects.of_request(request))
    return request


@transaction.atomic
def lapse(request: AccessRequest, *, actor: Actor) -> bool:
    """Close a request that nobody answered in time; return whether it still waited."""
    try:
        request = locked_pending(request)
    except Conflict:
        return False
    close(request, RequestState.LAPSED, at=now())
    record(events.REQUEST_LAPSED, actor=actor, subjects=subjects.of_request(request))
    return True


def close_for_leaver(person: Person, *, at: datetime, actor: Actor) -> None:
    """Close what a person who leaves asked for or was to get. Joins the caller's transaction."""
    waiting = AccessRequest.objects.select_for_update(no_key=True, of=("self",)).filter(
        state=RequestState.PENDING, person=person
    ) | AccessRequest.objects.select_for_update(no_key=True, of=("self",)).filter(
        state=RequestState.PENDING, requester=person
    )
    for request in waiting.select_related("person", "entitlement").order_by("pk"):
        close(request, RequestState.CLOSED, at=at, because="left")
        record(events.REQUEST_CLOSED, actor=actor, subjects=subjects.of_request(request), data={"because": "left"})


def _extension_problems(extends: Grant | None, person: Person, entitlement: Entitlement, at: datetime) -> list[Reason]:
    if extends is None:
        return []
    if extends.person_id != person.pk or extends.entitlement_id != entitlement.pk:
        return [Reason("not_this_access", "This is not the access you want to extend.")]
    if extends.ends_at <= at:
        return [Reason("ended", "This access has ended already. Ask for it again.")]
    if extends.ends_at == OPEN_END:
        return [Reason("open_ended", "This access has no end, so there is nothing to extend.")]
    return []


def _next_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('access_request_number')")
        return int(cursor.fetchone()[0])
