"""What somebody may ask for, and what they have or wait for already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import QuerySet

from governance.access.models import AccessRequest, Grant, RequestState
from governance.access.queries import WITH_GRANT, WITH_REQUEST, covering
from governance.catalog.models import AccessPolicyVersion, Application, ApproverKind, Entitlement
from governance.identity.models import Person
from governance.identity.selection import selected_among
from governance.web.kinds import kind_of

#: As what somebody is asked, said to the one who asks.
ASKED_AS = {
    ApproverKind.MANAGER: "your manager",
    ApproverKind.MANAGERS_MANAGER: "the manager of your manager",
    ApproverKind.OWNER: "application owner",
    ApproverKind.SECURITY: "security",
    ApproverKind.GROUP: "one of a group",
    ApproverKind.PEOPLE: "somebody the policy names",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One role somebody may ask for, under the policy in force."""

    role: Entitlement
    version: AccessPolicyVersion
    #: Their team gets it at once, up to `version.auto_approve_up_to`.
    approves_itself: bool
    grant: Grant | None = None
    request: AccessRequest | None = None

    @property
    def is_instant(self) -> bool:
        """Tell whether nobody needs to decide a request of the usual length."""
        if not self.version.stages:
            return True
        return self.approves_itself and self.version.default_duration <= self.version.auto_approve_up_to


@dataclass(frozen=True, slots=True)
class Held:
    """What a person has and waits for, by role. What lasts longest stands for several grants of one role."""

    grants: dict[int, Grant] = field(default_factory=dict)
    requests: dict[int, AccessRequest] = field(default_factory=dict)


def held_by(person: Person, at: datetime) -> Held:
    """Return what a person has and waits for. Two statements."""
    grants = Grant.objects.filter(covering(at), person=person).select_related(*WITH_GRANT).order_by("ends_at", "id")
    waiting = (
        AccessRequest.objects.filter(person=person, state=RequestState.PENDING)
        .select_related(*WITH_REQUEST)
        .order_by("-id")
    )
    return Held({one.entitlement_id: one for one in grants}, {one.entitlement_id: one for one in waiting})


def offers_to(person: Person, held: Held, at: datetime, *, application_slug: str = "") -> list[Offer]:
    """Return the roles a person may ask for or has asked for, by application and rising risk. Three statements."""
    roles = list(_requestable(application_slug))
    versions = policies_in_force({role.policy_id for role in roles}, at)
    may, itself = _conditions_met(versions.values(), person)
    return [
        Offer(
            role=role,
            version=version,
            approves_itself=version.pk in itself,
            grant=held.grants.get(role.pk),
            request=held.requests.get(role.pk),
        )
        for role in roles
        if (version := versions.get(role.policy_id)) is not None and version.pk in may
    ]


def by_application(offers: Iterable[Offer]) -> dict[Application, list[Offer]]:
    """Return the offers under their applications, in the order they came."""
    grouped: dict[Application, list[Offer]] = defaultdict(list)
    for offer in offers:
        grouped[offer.role.application].append(offer)
    return grouped


def policies_in_force(policy_ids: Collection[int], at: datetime) -> dict[int, AccessPolicyVersion]:
    """Return the version in force of each of these policies, by policy. One statement."""
    versions = (
        AccessPolicyVersion.objects.filter(policy_id__in=policy_ids, effective_at__lte=at)
        .select_related("policy")
        .order_by("policy_id", "-number")
        .distinct("policy_id")
    )
    return {version.policy_id: version for version in versions}


def state_of(offers: Iterable[Offer]) -> Offer | None:
    """Return the offer that says most about where somebody stands with an application, if any says something."""
    rank = {"breakglass": 0, "temporary": 1, "standing": 3, "birthright": 4}
    telling = [offer for offer in offers if offer.grant or offer.request]
    return min(telling, key=lambda offer: rank[kind_of(offer.grant)] if offer.grant else 2, default=None)


def _requestable(application_slug: str) -> QuerySet[Entitlement]:
    roles = Entitlement.objects.filter(
        is_requestable=True, retired_at__isnull=True, application__retired_at__isnull=True
    )
    if application_slug:
        roles = roles.filter(application__slug=application_slug)
    return roles.select_related("application").order_by("application__name", "application_id", "risk", "name", "id")


def _conditions_met(versions: Iterable[AccessPolicyVersion], person: Person) -> tuple[set[int], set[int]]:
    """Return the versions under which the person may ask, and those that approve them at once. One statement."""
    known = list(versions)
    conditions = sorted({text for one in known for text in (one.may_request, one.auto_approve) if text.strip()})
    answers = selected_among(conditions, [person.pk]).get(person.pk)
    if answers is None:
        return set(), set()
    met = dict(zip(conditions, answers, strict=True))
    may = {one.pk for one in known if met.get(one.may_request, True)}
    itself = {one.pk for one in known if met.get(one.auto_approve, False)}
    return may, itself
