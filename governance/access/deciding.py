"""The writers of answers to requests: yes, no, by policy. Every condition is checked again when it is decided."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from governance.access import duties, events, facts, grants, subjects
from governance.access.approvers import Deciders, Voter, voters
from governance.access.models import AccessRequest, Approval, GrantCause, RequestState
from governance.access.receipts import plain
from governance.access.waiting import STAGE_FIELDS, close, locked_pending, stage_begins
from governance.catalog.models import AccessPolicyVersion
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, now
from governance.core.errors import Refused
from governance.identity.models import Person
from governance.identity.selection import selects
from governance.ledger.recording import record
from governance.policy.decisions import DecisionFacts, refuse_decision
from governance.policy.durations import whole_seconds
from governance.policy.duties import DutyConflict


@transaction.atomic
def approve(
    request: AccessRequest, *, approver: Person, duration: timedelta | None = None, reason: str = "", actor: Actor
) -> AccessRequest:
    """Say yes at the stage that waits, optionally for shorter; the last yes starts the grant.

    Every condition is checked again now. Raises Conflict when somebody was faster and Refused with every
    reason why not.
    """
    at = now()
    request = locked_pending(request)
    version = request.policy_version
    broken = duties_broken_by(request, duration, at=at)
    voter = _voter(request, version, approver, duration=duration, reason=reason, approves=True, duties_broken=broken)
    shown = {**request.verdict, "duties": [plain(asdict(one)) for one in broken]}
    _write_approval(request, voter, approved=True, reason=reason, duration=duration, at=at, shown=shown)
    if not _is_complete(request):
        _record_decision(events.REQUEST_STAGE_APPROVED, request, reason, {"stage": request.stage}, actor=actor)
        return request
    if request.stage + 1 < len(request.route):
        stage_begins(request, request.stage + 1, at=at)
        request.save(update_fields=STAGE_FIELDS)
        _record_decision(events.REQUEST_STAGE_APPROVED, request, reason, {"stage": request.stage}, actor=actor)
        return request
    request.stage += 1
    close(request, RequestState.APPROVED, at=at)
    _record_decision(events.REQUEST_APPROVED, request, reason, {"shortened_to": whole_seconds(duration)}, actor=actor)
    _grant(request, at=at, actor=actor)
    return request


@transaction.atomic
def deny(request: AccessRequest, *, approver: Person, reason: str, actor: Actor) -> AccessRequest:
    """Say no at the stage that waits; the request is closed.

    Raises Conflict when somebody was faster and Refused with every reason why not.
    """
    at = now()
    request = locked_pending(request)
    voter = _voter(request, request.policy_version, approver, duration=None, reason=reason, approves=False)
    _write_approval(request, voter, approved=False, reason=reason, duration=None, at=at)
    close(request, RequestState.DENIED, at=at)
    _record_decision(events.REQUEST_DENIED, request, reason, {"stage": request.stage}, actor=actor)
    return request


def eligible_approvers(request: AccessRequest, known: Deciders | None = None) -> list[Person]:
    """Return who may decide the stage that waits, now, those who are there first; empty when nothing waits.

    As `access.approvers.voters`, which says for whom.
    """
    return [one.person for one in voters(request, known)]


def approvers_to_tell(request: AccessRequest, known: Deciders | None = None) -> list[Person]:
    """Return whom to tell that the request waits for them: as `eligible_approvers`, without those who are away."""
    return [one.person for one in voters(request, known) if not one.is_away]


def duties_broken_by(
    request: AccessRequest, chosen: timedelta | None = None, *, at: datetime
) -> tuple[DutyConflict, ...]:
    """Return the rules about duties that a yes would break, with what is held now."""
    starts_at, ends_at = duties.span(_shortest(request, chosen), request.starts_at, extends=request.extends, at=at)
    return duties.of_access(request.person, request.entitlement, starts_at=starts_at, ends_at=ends_at, at=at)


def approve_by_policy(request: AccessRequest, version: AccessPolicyVersion, *, at: datetime, actor: Actor) -> None:
    """Say yes at every stage in the name of the policy and start the grant. Joins the caller's transaction."""
    for _ in range(max(1, len(request.route))):
        _write_approval(request, None, approved=True, reason="By policy", duration=None, at=at)
        request.stage += 1
    close(request, RequestState.APPROVED, at=at)
    _record_decision(events.REQUEST_APPROVED, request, "", {"by_policy": version.pk}, actor=actor)
    _grant(request, at=at, actor=actor)


def decline_by_policy(request: AccessRequest, version: AccessPolicyVersion, *, at: datetime, actor: Actor) -> None:
    """Say no in the name of the policy: an answer like any other, in every list. Joins the caller's transaction."""
    _write_approval(request, None, approved=False, reason="Declined by policy", duration=None, at=at)
    close(request, RequestState.DENIED, at=at)
    _record_decision(events.REQUEST_DENIED, request, "", {"by_policy": version.pk}, actor=actor)


def _is_complete(request: AccessRequest) -> bool:
    """Tell whether as many said yes at the stage that waits as it wants."""
    stage = request.route[request.stage]
    return request.approvals.filter(stage=request.stage, approved=True).count() >= stage.quorum


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


def _voter(
    request: AccessRequest,
    version: AccessPolicyVersion,
    approver: Person,
    *,
    duration: timedelta | None,
    reason: str,
    approves: bool,
    duties_broken: tuple[DutyConflict, ...] = (),
) -> Voter:
    """Return the approver with in whose place they answer. Raises Refused with every reason why they may not."""
    entitlement = request.entitlement
    asked = {one.person.pk: one for one in voters(request)}
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
            eligible_ids=frozenset(asked),
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
    return asked[approver.pk]


def _write_approval(
    request: AccessRequest,
    voter: Voter | None,
    *,
    approved: bool,
    reason: str,
    duration: timedelta | None,
    at: datetime,
    shown: dict[str, Any] | None = None,
) -> None:
    route = request.route
    Approval.objects.create(
        request=request,
        stage=request.stage,
        asked=route[request.stage].kind if request.stage < len(route) else "",
        approver=voter.person if voter else None,
        on_behalf_of=voter.on_behalf_of if voter else None,
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
