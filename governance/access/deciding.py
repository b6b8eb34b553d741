"""The writers of answers to requests: yes, no, by policy. Every condition is checked again when it is decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from governance.access import duties, events, facts, grants, leave_dates, subjects
from governance.access.approvers import Deciders, Voter, voters
from governance.access.beside import beside
from governance.access.models import AccessRequest, Approval, GrantCause, RequestState
from governance.access.receipts import answer_receipt
from governance.access.waiting import STAGE_FIELDS, close, locked_pending, stage_begins
from governance.catalog.models import AccessPolicyVersion
from governance.catalog.risk_weights import weights_in_force
from governance.catalog.stages import BY_SECURITY
from governance.core.actor import Actor
from governance.core.clock import OPEN_END, now
from governance.core.errors import Refused
from governance.identity.models import Person
from governance.identity.selection import selects
from governance.ledger.recording import record
from governance.policy import decisions
from governance.policy.decisions import DecisionFacts, refuse_decision
from governance.policy.durations import whole_seconds
from governance.policy.duties import DutyConflict
from governance.policy.facts import RequestFacts
from governance.policy.risk import Risk, score


@transaction.atomic
def approve(
    request: AccessRequest,
    *,
    approver: Person,
    duration: timedelta | None = None,
    reason: str = "",
    actor: Actor,
    is_fresh: bool = True,
) -> AccessRequest:
    """Say yes at the stage that waits, optionally for shorter; the last yes starts the grant.

    Every condition is checked again now. A door where nobody signs in says so with `is_fresh`, and cannot approve
    high risk. Raises Conflict when somebody was faster and Refused with every reason why not.
    """
    at = now()
    request = locked_pending(request)
    broken = duties_broken_by(request, duration, at=at)
    said = _Said(approver, approves=True, duration=duration, reason=reason, is_fresh=is_fresh)
    voter, looked = _look(request, said, _again(request, duration, broken, at), at=at)
    _write_approval(request, voter, said, at=at, kept=_kept(request, looked, at))
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
    ends_by = ends_by_leaving(request, at=at)
    data: dict[str, object] = {"shortened_to": whole_seconds(duration), "ends_by_leaving": ends_by}
    _record_decision(events.REQUEST_APPROVED, request, reason, data, actor=actor)
    _grant(request, at=at, actor=actor)
    return request


@transaction.atomic
def deny(request: AccessRequest, *, approver: Person, reason: str, actor: Actor) -> AccessRequest:
    """Say no at the stage that waits; the request is closed.

    Raises Conflict when somebody was faster and Refused with every reason why not.
    """
    at = now()
    request = locked_pending(request)
    said = _Said(approver, approves=False, reason=reason)
    voter, looked = _look(request, said, at=at)
    _write_approval(request, voter, said, at=at, kept=_kept(request, looked, at))
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
        _write_approval(request, None, _Said(None, approves=True, reason="By policy"), at=at, kept=request.verdict)
        request.stage += 1
    close(request, RequestState.APPROVED, at=at)
    _record_decision(events.REQUEST_APPROVED, request, "", {"by_policy": version.pk}, actor=actor)
    _grant(request, at=at, actor=actor)


def decline_by_policy(request: AccessRequest, version: AccessPolicyVersion, *, at: datetime, actor: Actor) -> None:
    """Say no in the name of the policy: an answer like any other, in every list. Joins the caller's transaction."""
    said = _Said(None, approves=False, reason="Declined by policy")
    _write_approval(request, None, said, at=at, kept=request.verdict)
    close(request, RequestState.DENIED, at=at)
    _record_decision(events.REQUEST_DENIED, request, "", {"by_policy": version.pk}, actor=actor)


def ends_by_leaving(request: AccessRequest, *, at: datetime) -> datetime | None:
    """Return when the person leaves, where what a yes gives, or gave at `at`, would last longer; none otherwise."""
    return leave_dates.cut_at(request, _shortest(request), at=at) if request.person.leaves_at is not None else None


def _is_complete(request: AccessRequest) -> bool:
    """Tell whether as many said yes at the stage that waits as it wants."""
    stage = request.route[request.stage]
    return request.approvals.filter(stage=request.stage, approved=True).count() >= stage.quorum


def _grant(request: AccessRequest, *, at: datetime, actor: Actor) -> None:
    """Start what was asked for, or move the end of what it extends. It ends when the person leaves, at the latest."""
    duration = _shortest(request)
    leaves_at = leave_dates.cut_at(request, duration, at=at)
    if request.extends is not None and duration is not None and request.extends.ends_at > at:
        grants.extend(request.extends, ends_at=leaves_at or request.extends.ends_at + duration, actor=actor)
        return
    starts_at = max(request.starts_at or at, at)
    ends_at = OPEN_END if duration is None else starts_at + duration
    grants.start_many(
        [
            grants.NewGrant(
                person_id=request.person_id,
                entitlement_id=request.entitlement_id,
                application_id=request.entitlement.application_id,
                cause=GrantCause.REQUEST,
                starts_at=starts_at,
                ends_at=leaves_at or ends_at,
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


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer as it was given; without an approver it is the policy's."""

    approver: Person | None
    approves: bool
    reason: str = ""
    duration: timedelta | None = None
    is_fresh: bool = True


def needs_fresh_sign_in(request: AccessRequest) -> bool:
    """Tell whether a yes to this request is only given by somebody who has just signed in."""
    risk = request.verdict.get("risk", {})
    return decisions.needs_fresh_sign_in(
        level=max(int(risk.get("level", 0)), request.entitlement.risk),
        points=int(risk.get("points", 0)),
        is_privileged=request.entitlement.is_privileged,
        never_automatic_from=request.policy_version.never_automatic_from,
    )


@dataclass(frozen=True, slots=True)
class _Again:
    """What a yes would give, judged as if it were asked for now."""

    seen: RequestFacts
    risk: Risk


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was looked at for an answer; nothing is judged again for a no."""

    facts: DecisionFacts
    again: _Again | None


def _again(request: AccessRequest, chosen: timedelta | None, broken: tuple[DutyConflict, ...], at: datetime) -> _Again:
    seen = facts.of_answer(request, _shortest(request, chosen), broken, at=at)
    return _Again(seen, score(seen, weights_in_force()))


def _look(request: AccessRequest, said: _Said, again: _Again | None = None, *, at: datetime) -> tuple[Voter, _Looked]:
    """Return in whose place somebody answers, with all that was looked at. Raises Refused with every reason why not."""
    assert said.approver is not None
    asked = {one.person.pk: one for one in voters(request)}
    looked_at = _facts_of(request, said, said.approver, frozenset(asked), again, at)
    if reasons := refuse_decision(looked_at):
        raise Refused(reasons)
    return asked[said.approver.pk], _Looked(looked_at, again)


def _facts_of(
    request: AccessRequest,
    said: _Said,
    approver: Person,
    asked: frozenset[int],
    again: _Again | None,
    at: datetime,
) -> DecisionFacts:
    entitlement, version = request.entitlement, request.policy_version
    policy = again.seen.policy if again else None
    return DecisionFacts(
        approver_id=approver.pk,
        approver_is_active=approver.is_active,
        requester_id=request.requester_id,
        person_id=request.person_id,
        person_name=request.person.display_name,
        person_is_active=request.person.is_active,
        entitlement_is_retired=facts.of_entitlement(entitlement).is_retired,
        entitlement_name=f"{entitlement.name} in {entitlement.application.name}",
        may_still_request=selects(version.may_request, request.person),
        eligible_ids=asked,
        asked_duration=request.duration,
        max_duration=version.max_duration,
        chosen_duration=said.duration,
        reason=said.reason,
        approves=said.approves,
        duties=again.seen.duties if again else (),
        needs_fresh_sign_in=needs_fresh_sign_in(request),
        is_freshly_signed_in=said.is_fresh,
        may_shorten=version.may_shorten,
        policy_name=version.policy.name,
        auto_denies=policy is not None and policy.auto_denies,
        risk_points=again.risk.points if again else 0,
        refused_from=version.refused_from,
        needs_security_from=version.needs_security_from,
        leaves_at=request.person.leaves_at,
        begins_at=leave_dates.begins(request, at=at),
        asks_security=any(stage.kind == BY_SECURITY.kind for stage in request.route),
    )


def _kept(request: AccessRequest, looked: _Looked, at: datetime) -> dict[str, Any]:
    again = (looked.again.seen, looked.again.risk) if looked.again else None
    return answer_receipt(request.verdict, looked.facts, (), beside(request, at=at).as_kept(), again)


def _write_approval(
    request: AccessRequest, voter: Voter | None, said: _Said, *, at: datetime, kept: dict[str, Any]
) -> None:
    route = request.route
    Approval.objects.create(
        request=request,
        stage=request.stage,
        asked=route[request.stage].kind if request.stage < len(route) else "",
        approver=voter.person if voter else None,
        on_behalf_of=voter.on_behalf_of if voter else None,
        approved=said.approves,
        reason=said.reason.strip(),
        duration=said.duration,
        facts=kept,
        policy_version=request.policy_version,
        decided_at=at,
    )


def _record_decision(event: str, request: AccessRequest, reason: str, data: dict[str, object], *, actor: Actor) -> None:
    private = {"reason": (str(request.person.ref), reason.strip())} if reason.strip() else {}
    record(event, actor=actor, subjects=subjects.of_request(request), data=data, private=private)
