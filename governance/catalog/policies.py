"""The writer of access policies. On pages and over REST a second person stands before it: `access.policy_changes`."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from governance.catalog import events
from governance.catalog.models import AccessPolicy, AccessPolicyVersion
from governance.catalog.policy_terms import PolicyTerms, check_terms
from governance.catalog.stages import BY_SECURITY, OWNER, Approvers, Stage
from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.recording import Subject, record

STANDARD_POLICY = "standard"


@transaction.atomic
def standard_policy(*, actor: Actor) -> AccessPolicy:
    """Return the policy that entitlements start with, made when it is missing: the owner decides."""
    policy = AccessPolicy.objects.filter(slug=STANDARD_POLICY).first()
    if policy is not None:
        return policy
    terms = PolicyTerms(stages=(Stage(Approvers(OWNER), fallback=BY_SECURITY),))
    return save_policy("Standard", terms, slug=STANDARD_POLICY, actor=actor).policy


@transaction.atomic
def save_policy(name: str, terms: PolicyTerms, *, slug: str = "", actor: Actor) -> AccessPolicyVersion:
    """Return the new version of a policy, which is in force from now on; the policy is made when it is new.

    Raises Invalid naming each wrong field.
    """
    check_terms(name, terms)
    at = now()
    policy, _ = AccessPolicy.objects.select_for_update(no_key=True).get_or_create(
        slug=slug or slugify(name)[:80], defaults={"name": name, "created_at": at}
    )
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    version = AccessPolicyVersion.objects.create(
        policy=policy,
        number=last + 1,
        effective_at=at,
        created_at=at,
        created_by_ref=actor.ref,
        **terms.columns(),
    )
    record(
        events.POLICY_CHANGED,
        actor=actor,
        subjects=[Subject("policy", policy.slug)],
        data={"version": version.number, "stages": version.stage_kinds},
    )
    return version
