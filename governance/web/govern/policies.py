"""Policies and birthright rules, each with its versions: who may ask, who decides, what comes with a role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.catalog.models import (
    AccessPolicy,
    AccessPolicyVersion,
    BirthrightRule,
    BirthrightRuleVersion,
    PolicyProposal,
    ProposalState,
)
from governance.catalog.policy_proposals import may_propose
from governance.catalog.policy_terms import terms_of
from governance.catalog.policy_words import Change, Line, changes, lines, names_of
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.identity.models import RoleName
from governance.identity.queries import names_by_ref
from governance.web.actor import person_of
from governance.web.roles import needs, standing_of

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


@dataclass(frozen=True, slots=True)
class VersionShown:
    """A version with all it says, and what it changed of the one before; the first changed nothing."""

    version: AccessPolicyVersion
    lines: tuple[Line, ...]
    changes: tuple[Change, ...]
    author: str
    #: The proposal it came from; none for what was there before proposals, and the first set-up.
    proposal: PolicyProposal | None


@needs(*READERS)
@require_GET
def policies(request: HttpRequest) -> HttpResponse:
    """List what waits for a second person, and policies and birthright rules with the version in force."""
    at = now()
    held = Q(entitlements__retired_at__isnull=True)
    known = AccessPolicy.objects.annotate(roles=Count("entitlements", filter=held, distinct=True)).order_by(
        "name", "id"
    )
    in_force = _latest(AccessPolicyVersion.objects.filter(effective_at__lte=at), "policy_id")
    rules = BirthrightRule.objects.annotate(
        people=Count("versions__grants__person", filter=_holding(at), distinct=True)
    )
    begun = BirthrightRuleVersion.objects.filter(effective_at__lte=at, call_off__isnull=True)
    versions = begun.prefetch_related("entitlements__application")
    rule_versions = _latest(versions, "rule_id")
    waiting = PolicyProposal.objects.filter(state=ProposalState.PENDING).select_related("proposed_by", "base")
    context = {
        "page": "policies",
        "waiting": waiting.order_by("id"),
        "policies": [(one, in_force.get(one.pk)) for one in known],
        "rules": [(one, rule_versions.get(one.pk)) for one in rules.order_by("retired_at", "name", "id")],
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "govern/policies.html", context)


@needs(*READERS)
@require_GET
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what a policy says, what it said, what is proposed, and which roles stand under it."""
    found = AccessPolicy.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no policy called {slug}.")
    proposals = PolicyProposal.objects.filter(slug=slug).select_related("proposed_by", "decided_by").order_by("-id")
    answered = list(proposals)
    context = {
        "page": "policies",
        "policy": found,
        "versions": _shown(list(found.versions.order_by("-number")), answered),
        "waiting": [one for one in answered if one.is_waiting],
        "turned_down": [one for one in answered if one.state in (ProposalState.DECLINED, ProposalState.WITHDRAWN)],
        "roles": found.entitlements.filter(retired_at=None).select_related("application").order_by("application__name"),
        "may_propose": may_propose(person_of(request), slug),
    }
    return render(request, "govern/policy.html", context)


def _shown(versions: list[AccessPolicyVersion], proposals: list[PolicyProposal]) -> list[VersionShown]:
    """Return versions, the latest first, each with what differs from the one before."""
    said = [terms_of(one) for one in versions]
    names = names_of(*said)
    authors = names_by_ref({one.created_by_ref for one in versions})
    by_version = {one.version_id: one for one in proposals}
    return [
        VersionShown(
            version=version,
            lines=lines(terms, names),
            changes=changes(before, terms, names) if before is not None else (),
            author=authors.get(version.created_by_ref, ""),
            proposal=by_version.get(version.pk),
        )
        for version, terms, before in zip(versions, said, [*said[1:], None], strict=False)
    ]


def _latest(versions: Any, key: str) -> dict[int, Any]:
    return {getattr(one, key): one for one in versions.order_by(key, "number")}


def _holding(at: Any) -> Q:
    return Q(versions__grants__starts_at__lte=at, versions__grants__ends_at__gt=at)
