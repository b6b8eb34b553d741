"""The writers of requests and approvals: ask, decide, withdraw, lapse. Everything stays on record."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from governance.access import duties, events, facts, grants, subjects
from governance.access.approvers import Deciders, deciders
from governance.access.models import AccessRequest, Approval, Grant, GrantCause, RequestState
from governance.catalog.models import AccessPolicyVersion, Entitlement
from governance.catalog.queries import policy_in_force
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Reason, Refused
from governance.identity.models import Person
from governance.identity.selection import selects
from governance.ledger.recording import record
from governance.policy.decisions import DecisionFacts, refuse_decision
from governance.policy.duties import DutyConflict
from governance.policy.facts import Ask, RequestFacts
from governance.policy.risk import Risk, score
from governance.policy.verdicts import Verdict, decide_request


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
    person = _locked_person(person or requester)
    version = policy_in_force(entitlement.policy_id, at)
    seen = facts.of_request(requester, person, entitlement, version, ask, extends=extends, at=at)
    verdict = decide_request(seen)
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
        verdict=receipt(seen, verdict, score(seen)),
        created_at=at,
        lapses_at=at + version.lapses_after,
        correlation_id=actor.correlation_id,
    )
    record(
        events.REQUEST_SUBMITTED,
        actor=actor,
        subjects=subjects.of_request(request),
        data={
            "duration_seconds": _seconds(ask.duration),
            "purpose": ask.purpose,
            "policy_version": version.pk,
            "extends": extends.pk if extends else None,
            "automatic": verdict.is_automatic,
        },
        private={"reason": (str(person.ref), request.reason), "ticket": (str(person.ref), request.ticket)},
    )
    if verdict.is_automatic:
        _approve_by_policy(request, version, at=at, actor=actor)
    return request


@transaction.atomic
def approve(
    request: AccessRequest, *, approver: Person, duration: timedelta | None = None, reason: str = "", actor: Actor
) -> AccessRequest:
    """Say yes at the stage that waits, optionally for shorter; the last yes starts the grant.

    Every condition is checked again now. Raises Conflict when somebody was faster and Refused with every
    reason why not.
    """
    at = now()
    request = _locked_pending(request)
    version = request.policy_version
    broken = duties_broken_by(request, duration, at=at)
    _refuse_unless_allowed(
        request, version, approver, duration=duration, reason=reason, approves=True, duties_broken=broken
    )
    shown = {**request.verdict, "duties": [_plain(asdict(one)) for one in broken]}
    _write_approval(request, approver, approved=True, reason=reason, duration=duration, at=at, shown=shown)
    request.stage += 1
    if request.stage < len(version.stages):
        request.save(update_fields=["stage"])
        _record_decision(events.REQUEST_STAGE_APPROVED, request, reason, {"stage": request.stage}, actor=actor)
        return request
    _close(request, RequestState.APPROVED, at=at)
    _record_decision(events.REQUEST_APPROVED, request, reason, {"shortened_to": _seconds(duration)}, actor=actor)
    _grant(request, at=at, actor=actor)
    return request


@transaction.atomic
def deny(request: AccessRequest, *, approver: Person, reason: str, actor: Actor) -> AccessRequest:
    """Say no at the stage that waits; the request is closed.

    Raises Conflict when somebody was faster and Refused with every reason why not.
    """
    at = now()
    request = _locked_pending(request)
    _refuse_unless_allowed(request, request.policy_version, approver, duration=None, reason=reason, approves=False)
    _write_approval(request, approver, approved=False, reason=reason, duration=None, at=at)
    _close(request, RequestState.DENIED, at=at)
    _record_decision(events.REQUEST_DENIED, request, reason, {"stage": request.stage}, actor=actor)
    return request


@transaction.atomic
def withdraw(request: AccessRequest, *, person: Person, actor: Actor) -> AccessRequest:
    """Take back one's own request while it waits.

    Raises Conflict when it no longer waits and Refused when it is somebody else's.
    """
    request = _locked_pending(request)
    if person.pk not in (request.requester_id, request.person_id):
        raise Refused([Reason("not_yours", "Only who asked can withdraw a request.")])
    _close(request, RequestState.WITHDRAWN, at=now())
    record(events.REQUEST_WITHDRAWN, actor=actor, subjects=subjects.of_request(request))
    return request


@transaction.atomic
def lapse(request: AccessRequest, *, actor: Actor) -> bool:
    """Close a request that nobody answered in time; return whether it still waited."""
    try:
        request = _locked_pending(request)
    except Conflict:
        return False
    _close(request, RequestState.LAPSED, at=now())
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
        _close(request, RequestState.CLOSED, at=at, because="left")
        record(events.REQUEST_CLOSED, actor=actor, subjects=subjects.of_request(request), data={"because": "left"})


def eligible_approvers(request: AccessRequest, known: Deciders | None = None) -> list[Person]:
    """Return who may decide the stage that waits, now; empty when nothing waits.

    Whoever said yes at an earlier stage is not asked again. Pass `known` when asking for many requests.
    """
    if request.state != RequestState.PENDING:
        return []
    known = known or deciders([request.entitlement.application_id])
    earlier = {one.approver_id for one in request.approvals.all() if one.approver_id is not None}
    return known.eligible(
        request.policy_version.stages[request.stage],
        person=request.person,
        application_id=request.entitlement.application_id,
        excluded_ids={request.requester_id, request.person_id, *earlier},
    )


def receipt(seen: RequestFacts, verdict: Verdict, risk: Risk) -> dict[str, Any]:
    """Return the verdict with the facts it saw, as JSON, so that it can be recomputed."""
    return {name: _plain(asdict(part)) for name, part in (("facts", seen), ("verdict", verdict), ("risk", risk))}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _approve_by_policy(request: AccessRequest, version: AccessPolicyVersion, *, at: datetime, actor: Actor) -> None:
    for _ in range(max(1, len(version.stages))):
        _write_approval(request, None, approved=True, reason="By policy", duration=None, at=at)
        request.stage += 1
    _close(request, RequestState.APPROVED, at=at)
    _record_decision(events.REQUEST_APPROVED, request, "", {"by_policy": version.pk}, actor=actor)
    _grant(request, at=at, actor=actor)


def _grant(request: AccessRequest, *, at: datetime, actor: Actor) -> None:
    duration = _shortest(request)
    if request.extends is not None and duration is not None and request.extends.ends_at > at:
        grants.extend(request.extends, ends_at=request.extends.ends_at + duration, actor=actor)
        return
    starts_at = max(request.starts_at or at, at)
    grants.start_many(
        [
            grants.NewGrant(
                person_id=request.person_id,
                entitlement_id=request.entitlement_id,
                application_id=request.entitlement.application_id,
                cause=GrantCause.REQUEST,
                starts_at=starts_at,
                ends_at=OPEN_END if duration is None else starts_at + duration,
                request_id=request.pk,
            )
        ],
        at=at,
        actor=actor,
    )


def _shortest(request: AccessRequest, chosen: timedelta | None = None) -> timedelta | None:
    """Return the shortest time that was chosen at any stage, else the one asked for."""
    given = [one.duration for one in request.approvals.all()]
    return min((span for span in (*given, chosen) if span is not None), default=request.duration)


def duties_broken_by(
    request: AccessRequest, chosen: timedelta | None = None, *, at: datetime
) -> tuple[DutyConflict, ...]:
    """Return the rules about duties that a yes would break, with what is held now."""
    starts_at, ends_at = duties.span(_shortest(request, chosen), request.starts_at, extends=request.extends, at=at)
    return duties.of_access(request.person, request.entitlement, starts_at=starts_at, ends_at=ends_at, at=at)


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


def _refuse_unless_allowed(
    request: AccessRequest,
    version: AccessPolicyVersion,
    approver: Person,
    *,
    duration: timedelta | None,
    reason: str,
    approves: bool,
    duties_broken: tuple[DutyConflict, ...] = (),
) -> None:
    entitlement = request.entitlement
    reasons = refuse_decision(
        DecisionFacts(
            approver_id=approver.pk,
            approver_is_active=approver.is_active,
            requester_id=request.requester_id,
            person_id=request.person_id,
            person_name=request.person.display_name,
            person_is_active=request.person.is_active,
            entitlement_is_retired=facts.of_entitlement(entitlement).is_retired,
            entitlement_name=f"{entitlement.name} in {entitlement.application.name}",
            may_still_request=selects(version.may_request, request.person),
            eligible_ids=frozenset(one.pk for one in eligible_approvers(request)),
            asked_duration=request.duration,
            max_duration=version.max_duration,
            chosen_duration=duration,
            reason=reason,
            approves=approves,
            duties=duties_broken,
        )
    )
    if reasons:
        raise Refused(reasons)


def _write_approval(
    request: AccessRequest,
    approver: Person | None,
    *,
    approved: bool,
    reason: str,
    duration: timedelta | None,
    at: datetime,
    shown: dict[str, Any] | None = None,
) -> None:
    stages = request.policy_version.stages
    Approval.objects.create(
        request=request,
        stage=request.stage,
        asked=stages[request.stage] if request.stage < len(stages) else "",
        approver=approver,
        approved=approved,
        reason=reason.strip(),
        duration=duration,
        facts=shown or request.verdict,
        policy_version=request.policy_version,
        decided_at=at,
    )


def _record_decision(event: str, request: AccessRequest, reason: str, data: dict[str, object], *, actor: Actor) -> None:
    private = {"reason": (str(request.person.ref), reason.strip())} if reason.strip() else {}
    record(event, actor=actor, subjects=subjects.of_request(request), data=data, private=private)


def _locked_person(person: Person) -> Person:
    return Person.objects.select_for_update(no_key=True, of=("self",)).select_related("manager").get(pk=person.pk)


def _locked_pending(request: AccessRequest) -> AccessRequest:
    _locked_person(Person(pk=request.person_id))
    found = (
        AccessRequest.objects.select_for_update(no_key=True, of=("self",))
        .select_related("person__manager", "requester", "entitlement__application", "policy_version__policy", "extends")
        .get(pk=request.pk)
    )
    if found.state != RequestState.PENDING:
        raise Conflict(_who_was_faster(found))
    return found


def _who_was_faster(request: AccessRequest) -> str:
    last = request.approvals.select_related("approver").order_by("-stage").first()
    when = f"{request.closed_at:%H:%M on %d %B %Y} UTC" if request.closed_at else ""
    if last is None or request.state not in (RequestState.APPROVED, RequestState.DENIED):
        return f"This request was {request.get_state_display().lower()} at {when}."
    who = last.approver.display_name if last.approver else "The policy"
    return f"{who} {'declined' if request.state == RequestState.DENIED else 'approved'} this at {when}."


def _close(request: AccessRequest, state: RequestState, *, at: datetime, because: str = "") -> None:
    request.state = state
    request.closed_at = at
    request.closed_because = because
    request.save(update_fields=["state", "closed_at", "closed_because", "stage"])


def _next_number() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('access_request_number')")
        return int(cursor.fetchone()[0])


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())
