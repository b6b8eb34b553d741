"""The only bridge from rows to policy facts, with its part about duties in `access.duties`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Count, Q

from governance.access import duties
from governance.access.approvers import Deciders, deciders
from governance.access.models import AccessRequest, Grant, RequestState
from governance.catalog.models import AccessPolicyVersion, Entitlement
from governance.catalog.queries import applications_owned_by
from governance.catalog.stages import BY_SECURITY, Stage
from governance.core.clock import is_open_ended
from governance.identity.models import Person, RoleName, Status
from governance.identity.queries import roles_of
from governance.identity.selection import selected_among
from governance.policy.duties import DutyConflict
from governance.policy.facts import (
    Ask,
    EntitlementFacts,
    HeldFacts,
    PersonFacts,
    PolicyFacts,
    RequestFacts,
    StageFacts,
)

DENIALS_COUNT_FOR = timedelta(days=90)


def of_request(
    requester: Person,
    person: Person,
    entitlement: Entitlement,
    version: AccessPolicyVersion,
    ask: Ask,
    *,
    extends: Grant | None = None,
    beside: Collection[Entitlement] = (),
    at: datetime,
) -> RequestFacts:
    """Return everything a verdict on this request looks at, as of `at`; `beside` is asked for together with it."""
    owns_it, is_security = _stands(requester, person, entitlement)
    return RequestFacts(
        requester=of_person(requester),
        person=of_person(person),
        entitlement=of_entitlement(entitlement),
        policy=of_policy(version, person, entitlement, excluded_ids=(requester.pk, person.pk)),
        ask=ask,
        held=of_held(person, entitlement, extends=extends, at=at),
        now=at,
        duties=duties.of_ask(person, entitlement, ask, extends=extends, beside=beside, at=at),
        requester_owns_it=owns_it,
        requester_is_security=is_security,
    )


def of_answer(
    request: AccessRequest, duration: timedelta | None, broken: tuple[DutyConflict, ...], *, at: datetime
) -> RequestFacts:
    """Return what a yes to a request that waits looks at again: as it would be asked for now, for `duration`.

    Its words stay with the request. `broken` are the rules about duties that the yes would break.
    """
    person, entitlement = request.person, request.entitlement
    starts_at = request.starts_at if request.starts_at is not None and request.starts_at > at else None
    return RequestFacts(
        requester=of_person(request.requester),
        person=of_person(person),
        entitlement=of_entitlement(entitlement),
        policy=of_policy(request.policy_version, person, entitlement, excluded_ids=(request.requester_id, person.pk)),
        ask=Ask(duration, request.purpose, reason="", starts_at=starts_at),
        held=of_held(person, entitlement, extends=request.extends, at=at),
        now=at,
        duties=broken,
    )


def of_person(person: Person) -> PersonFacts:
    """Return who somebody is."""
    return PersonFacts(
        id=person.pk,
        name=person.display_name,
        is_active=person.is_active,
        person_type=person.person_type,
        manager_id=person.manager_id,
        joined_at=person.joined_at,
        leaves_at=person.leaves_at,
        time_zone=person.time_zone,
    )


def of_entitlement(entitlement: Entitlement) -> EntitlementFacts:
    """Return what is asked for."""
    application = entitlement.application
    return EntitlementFacts(
        id=entitlement.pk,
        name=entitlement.name,
        application_name=application.name,
        risk=entitlement.risk,
        is_privileged=entitlement.is_privileged,
        is_requestable=entitlement.is_requestable,
        is_retired=entitlement.retired_at is not None or application.retired_at is not None,
        data_classes=tuple(entitlement.data_classes),
    )


def of_policy(
    version: AccessPolicyVersion, person: Person, entitlement: Entitlement, *, excluded_ids: tuple[int, ...]
) -> PolicyFacts:
    """Return what a policy version says about this person, with who could decide each stage."""
    known = deciders([entitlement.application_id])
    conditions = [version.may_request, version.auto_approve, version.auto_deny]
    may_request, auto_approves, auto_denies = selected_among(conditions, [person.pk]).get(person.pk, [False] * 3)
    may_add_security = not version.stages or version.needs_security_from is not None
    return PolicyFacts(
        version_id=version.pk,
        policy_name=version.policy.name,
        may_request=may_request,
        auto_approves=auto_approves and bool(version.auto_approve),
        default_duration=version.default_duration,
        max_duration=version.max_duration,
        allows_open_end=version.allows_open_end,
        purposes=tuple(version.purposes),
        requires_ticket=version.requires_ticket,
        auto_approve_up_to=version.auto_approve_up_to,
        stages=tuple(
            StageFacts(stage.kind, _named(known, stage, person, entitlement, excluded_ids), stage.quorum)
            for stage in version.route
        ),
        auto_denies=auto_denies and bool(version.auto_deny),
        ticket_pattern=version.ticket_pattern,
        never_automatic_from=version.never_automatic_from,
        needs_security_from=version.needs_security_from,
        refused_from=version.refused_from,
        extending=version.extending,
        security=_named(known, Stage(BY_SECURITY), person, entitlement, excluded_ids) if may_add_security else None,
    )


def of_held(person: Person, entitlement: Entitlement, *, extends: Grant | None, at: datetime) -> HeldFacts:
    """Return what the person has or waits for of this entitlement, and how it compares with their peers."""
    running = Grant.objects.filter(person=person, entitlement=entitlement, ends_at__gt=at, starts_at__lte=at)
    latest = running.order_by("-ends_at").first()
    requests = AccessRequest.objects.filter(person=person, entitlement=entitlement)
    waiting = requests.filter(state=RequestState.PENDING).first()
    denied = requests.filter(state=RequestState.DENIED, closed_at__gt=at - DENIALS_COUNT_FOR).count()
    with_it, peers = _peers(person, entitlement, at)
    return HeldFacts(
        until=latest.ends_at if latest else None,
        waiting_request=waiting.number if waiting else None,
        is_extension=extends is not None,
        lasts=None if extends is None or is_open_ended(extends.ends_at) else extends.ends_at - extends.starts_at,
        peers_with_it=with_it,
        peers=peers,
        denied_lately=denied,
    )


def _stands(requester: Person, person: Person, entitlement: Entitlement) -> tuple[bool, bool]:
    """Tell whether who asks for somebody else answers for the application, and administers security."""
    if requester.pk in (person.pk, person.manager_id):
        return False, False
    owns_it = entitlement.application_id in applications_owned_by(requester.pk)
    return owns_it, RoleName.SECURITY_ADMIN in roles_of(requester.pk)


def _peers(person: Person, entitlement: Entitlement, at: datetime) -> tuple[int, int]:
    if not person.department:
        return 0, 0
    same = Person.objects.filter(department=person.department, status=Status.ACTIVE).exclude(pk=person.pk)
    covers = Q(grants__entitlement=entitlement, grants__starts_at__lte=at, grants__ends_at__gt=at)
    counts = same.aggregate(peers=Count("pk", distinct=True), with_it=Count("pk", filter=covers, distinct=True))
    return counts["with_it"], counts["peers"]


def _named(
    known: Deciders, stage: Stage, person: Person, entitlement: Entitlement, excluded_ids: tuple[int, ...]
) -> tuple[tuple[int, str], ...]:
    found = known.eligible(stage, person=person, application_id=entitlement.application_id, excluded_ids=excluded_ids)
    return tuple((one.pk, one.display_name) for one in found)
