"""The verdict each request of the demo got, from the facts of its time, by the same rules as a real one."""

from __future__ import annotations

from typing import Any

from governance.access.models import AccessRequest, RequestState
from governance.access.receipts import receipt
from governance.demo.asking import Desk
from governance.demo.people import Member
from governance.demo.plans import Ask
from governance.identity.models import Status
from governance.policy import facts
from governance.policy.risk import score
from governance.policy.verdicts import decide_request

_DENIALS_COUNT_FOR_DAYS = 90


def write_requests(desk: Desk, first_number: int) -> None:
    """Make the rows of requests, numbered in the order in which they were made."""
    desk.books.asks.sort(key=lambda ask: (ask.created_at, ask.member.person.pk, ask.offer.entitlement.pk))
    for number, ask in enumerate(desk.books.asks, first_number):
        seen = facts_of(desk, ask)
        verdict = decide_request(seen)
        assert verdict.is_allowed, (ask.member.handle, ask.offer.key, ask.created_at, verdict.reasons)
        ask.row = desk.world.add(_row(ask, number, receipt(seen, verdict, score(seen))))


def facts_of(desk: Desk, ask: Ask) -> facts.RequestFacts:
    """Return everything the verdict looked at. The twin of `access.facts`, over plans instead of rows."""
    return facts.RequestFacts(
        requester=_person(ask.requester, ask),
        person=_person(ask.member, ask),
        entitlement=_entitlement(ask),
        policy=_policy(desk, ask),
        ask=facts.Ask(ask.duration, ask.purpose, ask.reason, ask.ticket, ask.starts_at),
        held=_held(desk, ask),
        now=ask.created_at,
    )


def _person(member: Member, ask: Ask) -> facts.PersonFacts:
    person, stage = member.person, member.stage_at(ask.created_at)
    return facts.PersonFacts(
        id=person.pk,
        name=member.shown_name(stage) if stage else person.display_name,
        is_active=stage is not None and stage.status == Status.ACTIVE,
        person_type=member.person_type,
        manager_id=person.manager_id,
        joined_at=person.joined_at,
    )


def _entitlement(ask: Ask) -> facts.EntitlementFacts:
    entitlement, application = ask.offer.entitlement, ask.offer.application
    return facts.EntitlementFacts(
        id=entitlement.pk,
        name=entitlement.name,
        application_name=application.name,
        risk=entitlement.risk,
        is_privileged=entitlement.is_privileged,
        is_requestable=entitlement.is_requestable,
        data_classes=tuple(entitlement.data_classes),
    )


def _policy(desk: Desk, ask: Ask) -> facts.PolicyFacts:
    version, member, at = ask.version, ask.member, ask.created_at
    answers, ask.answers = ask.answers, []  # Who could decide is told as of before anybody did.
    stages = tuple(
        facts.StageFacts(kind, tuple((one.person.pk, one.person.display_name) for one in desk.deciders(ask, kind)))
        for kind in version.stage_kinds
    )
    ask.answers = answers
    return facts.PolicyFacts(
        version_id=version.pk,
        policy_name=version.policy.name,
        may_request=desk.matches(version.may_request, member, at),
        auto_approves=bool(version.auto_approve) and desk.matches(version.auto_approve, member, at),
        default_duration=version.default_duration,
        max_duration=version.max_duration,
        allows_open_end=version.allows_open_end,
        purposes=tuple(version.purposes),
        requires_ticket=version.requires_ticket,
        auto_approve_up_to=version.auto_approve_up_to,
        stages=stages,
    )


def _held(desk: Desk, ask: Ask) -> facts.HeldFacts:
    at, stage = ask.created_at, ask.member.stage_at(ask.created_at)
    department = stage.department if stage else ""
    earlier = [plan for plan in desk.books.of(ask.member, ask.offer) if plan.ask is not ask and plan.covers(at)]
    peers = [one for one in desk.company.ever_in(department) if one is not ask.member and _is_in(one, department, ask)]
    having = {plan.member.handle for plan in desk.books.by_role[ask.offer.key] if plan.covers(at)}
    others = desk.books.asks_by_person_and_role[ask.member.handle, ask.offer.key]
    return facts.HeldFacts(
        until=max((plan.final_end for plan in earlier), default=None),
        is_extension=ask.extends is not None,
        peers_with_it=sum(one.handle in having for one in peers),
        peers=len(peers),
        denied_lately=sum(_was_denied_before(other, ask) for other in others),
    )


def _is_in(member: Member, department: str, ask: Ask) -> bool:
    stage = member.stage_at(ask.created_at)
    return stage is not None and stage.status == Status.ACTIVE and stage.department == department


def _was_denied_before(other: Ask, ask: Ask) -> bool:
    if other.state != RequestState.DENIED or other.closed_at is None or other.closed_at > ask.created_at:
        return False
    return (ask.created_at - other.closed_at).days < _DENIALS_COUNT_FOR_DAYS


def _row(ask: Ask, number: int, verdict: dict[str, Any]) -> AccessRequest:
    return AccessRequest(
        number=number,
        requester_id=ask.requester.person.pk,
        person_id=ask.member.person.pk,
        entitlement=ask.offer.entitlement,
        duration=ask.duration,
        starts_at=ask.starts_at,
        purpose=ask.purpose,
        reason=ask.reason,
        ticket=ask.ticket,
        policy_version=ask.version,
        verdict=verdict,
        state=ask.state,
        stage=sum(answer.approved for answer in ask.answers),
        created_at=ask.created_at,
        lapses_at=ask.created_at + ask.version.lapses_after,
        closed_at=ask.closed_at,
        closed_because=ask.closed_because,
        correlation_id=ask.correlation_id,
    )
