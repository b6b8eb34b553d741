"""The writers of proposals. They know that a second person decides; `access.policy_changes` looks at the effect."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from governance.catalog import events
from governance.catalog.models import (
    AccessPolicy,
    AccessPolicyVersion,
    ApplicationOwner,
    Entitlement,
    PolicyProposal,
    ProposalState,
)
from governance.catalog.policies import save_policy
from governance.catalog.policy_terms import PolicyTerms, check_terms, terms_from_json, terms_of
from governance.catalog.policy_words import changes
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound
from governance.identity.models import Person
from governance.identity.queries import security_admins
from governance.ledger.recording import Subject, record

SHORTEST_WHY, LONGEST_WHY = 15, 2000


def proposal(proposal_id: int) -> PolicyProposal:
    """Return a proposal with everybody it names. Raises NotFound."""
    found = (
        PolicyProposal.objects.select_related("proposed_by", "decided_by", "base__policy", "version__policy")
        .filter(pk=proposal_id)
        .first()
    )
    if found is None:
        raise NotFound(f"There is no proposal P-{proposal_id}.")
    return found


def last_version(slug: str) -> AccessPolicyVersion | None:
    """Return the version of a policy that is in force; none when there is no such policy."""
    return AccessPolicyVersion.objects.select_related("policy").filter(policy__slug=slug).order_by("-number").first()


def waiting_for_a_second_person(person: Person) -> QuerySet[PolicyProposal]:
    """Return the proposals that wait and that somebody who administers security could decide: all but their own."""
    return PolicyProposal.objects.filter(state=ProposalState.PENDING).exclude(proposed_by=person)


def may_propose(person: Person, slug: str) -> bool:
    """Tell whether somebody may propose terms: who runs security, and for a policy of their own applications, owners.

    A policy is an owner's own when every role under it is in an application they answer for. Three statements at most.
    """
    if is_admin(person):
        return True
    roles = Entitlement.objects.filter(policy__slug=slug)
    owned = ApplicationOwner.objects.filter(person=person).values("application_id")
    return bool(slug) and roles.exists() and not roles.exclude(application_id__in=owned).exists()


def is_admin(person: Person) -> bool:
    """Tell whether somebody administers security and is active."""
    return security_admins().filter(pk=person.pk).exists()


def has_second_person(person: Person) -> bool:
    """Tell whether anybody but this person could decide a proposal."""
    return security_admins().exclude(pk=person.pk).exists()


@transaction.atomic
def open_proposal(
    name: str,
    terms: PolicyTerms,
    *,
    slug: str = "",
    base_number: int | None = None,
    why: str,
    proposed_by: Person,
    alone: bool = False,
    actor: Actor,
) -> PolicyProposal:
    """Return a proposal that waits for a second person; with `alone`, one that is in force at once.

    `slug` and `base_number` say which policy it changes, and the version it was written for; without, it is a new
    policy. Raises Invalid naming each wrong field, NotAllowed for who may not, and Conflict when another version is in
    force.
    """
    if not may_propose(proposed_by, slug):
        raise NotAllowed(
            "Security administrators propose policies, and owners for policies of only their applications."
        )
    _check(name, terms, why)
    base = _base(slug, base_number) if slug else None
    slug = slug or _new_slug(name)
    if alone:
        _refuse_unless_alone(proposed_by, base)
    written = PolicyProposal.objects.create(
        slug=slug,
        name=name.strip(),
        base=base,
        terms=terms.as_json(),
        why=why.strip(),
        proposed_by=proposed_by,
        proposed_at=now(),
        is_alone=alone,
    )
    _record(events.POLICY_PROPOSED, written, {"base": base.number if base else None, "alone": alone}, actor=actor)
    if alone:
        _put_in_force(written, by=proposed_by, answer="", actor=actor)
    return written


@transaction.atomic
def approve_proposal(waiting: PolicyProposal, *, decided_by: Person, answer: str = "", actor: Actor) -> PolicyProposal:
    """Put what is proposed in force as the next version.

    Raises NotAllowed for who proposed it or does not administer security, Conflict when it was answered or another
    version is in force meanwhile, and Invalid when what it says cannot be any more: somebody it names left.
    """
    found = _locked(waiting)
    _refuse_unless_second(found, decided_by)
    _refuse_unless_based(found)
    _put_in_force(found, by=decided_by, answer=answer, actor=actor)
    return found


@transaction.atomic
def decline_proposal(waiting: PolicyProposal, *, decided_by: Person, answer: str, actor: Actor) -> PolicyProposal:
    """Say no to what is proposed, with the reason. Raises as `approve_proposal`, and Invalid without a reason."""
    found = _locked(waiting)
    _refuse_unless_second(found, decided_by)
    if not answer.strip():
        raise Invalid({"answer": "Say why not: whoever proposed it reads it."})
    _close(found, ProposalState.DECLINED, by=decided_by, answer=answer, at=now())
    _record(events.POLICY_PROPOSAL_DECLINED, found, {}, actor=actor)
    return found


@transaction.atomic
def withdraw_proposal(waiting: PolicyProposal, *, person: Person, actor: Actor) -> PolicyProposal:
    """Take back one's own proposal. Raises Conflict when it was answered and NotAllowed when it is another's."""
    found = _locked(waiting)
    if found.proposed_by_id != person.pk:
        raise NotAllowed("Only who proposed it can take it back.")
    _close(found, ProposalState.WITHDRAWN, by=person, answer="", at=now())
    _record(events.POLICY_PROPOSAL_WITHDRAWN, found, {}, actor=actor)
    return found


def _check(name: str, terms: PolicyTerms, why: str) -> None:
    found: dict[str, list[str]] = {}
    try:
        check_terms(name, terms)
    except Invalid as error:
        found = error.fields
    if len(why.strip()) < SHORTEST_WHY:
        found["why"] = [
            f"Write one full sentence ({SHORTEST_WHY} characters or more): it is what a second person reads."
        ]
    elif len(why) > LONGEST_WHY:
        found["why"] = [f"Keep it under {LONGEST_WHY} characters."]
    if found:
        raise Invalid(found)


def _new_slug(name: str) -> str:
    slug = slugify(name)[:80]
    if not slug:
        raise Invalid({"name": "Give it a name with letters or digits."})
    if AccessPolicy.objects.filter(slug=slug).exists():
        raise Conflict(f"There is a policy called {name.strip()} already. Change that one, or choose another name.")
    return slug


def _base(slug: str, number: int | None) -> AccessPolicyVersion:
    last = last_version(slug)
    if last is None:
        raise NotFound(f"There is no policy called {slug}.")
    if number is not None and number != last.number:
        raise Conflict(_moved(last, number))
    return last


def _refuse_unless_alone(person: Person, base: AccessPolicyVersion | None) -> None:
    if base is not None:
        raise NotAllowed("A policy in force is only changed by two people. Appoint a second security administrator.")
    if not is_admin(person) or has_second_person(person):
        raise NotAllowed("There is a second security administrator: they decide about this policy.")


def _refuse_unless_second(found: PolicyProposal, person: Person) -> None:
    if found.proposed_by_id == person.pk:
        raise NotAllowed("You proposed this. A second person decides it.")
    if not is_admin(person):
        raise NotAllowed("Security administrators decide about policies.")


def _refuse_unless_based(found: PolicyProposal) -> None:
    AccessPolicy.objects.select_for_update(no_key=True).filter(slug=found.slug).first()
    last = last_version(found.slug)
    if found.base is None and last is not None:
        raise Conflict(f"A policy called {last.policy.name} was made meanwhile. Propose a change of that one.")
    if found.base is not None and last is not None and last.pk != found.base_id:
        raise Conflict(_moved(last, found.base.number))


def _moved(last: AccessPolicyVersion, number: int) -> str:
    """Say which version is in force instead of the one a draft was written for, and what changed in between."""
    intro = f"Version {last.number} is in force since {last.effective_at:%H:%M on %d %B %Y} UTC; this was written for"
    base = AccessPolicyVersion.objects.filter(policy=last.policy_id, number=number).first()
    if base is None:
        return f"{intro} a version {number} that there is not."
    said = "; ".join(f"{one.label}: {one.before} → {one.after}" for one in changes(terms_of(base), terms_of(last)))
    return f"{intro} version {number}. Changed meanwhile: {said or 'nothing'}. Propose it again on the new version."


def _put_in_force(found: PolicyProposal, *, by: Person, answer: str, actor: Actor) -> None:
    version = save_policy(found.name, terms_from_json(found.terms), slug=found.slug, actor=actor)
    found.version = version
    _close(found, ProposalState.APPROVED, by=by, answer=answer, at=version.created_at)
    _record(events.POLICY_PROPOSAL_APPROVED, found, {"version": version.number, "alone": found.is_alone}, actor=actor)


def _close(found: PolicyProposal, state: ProposalState, *, by: Person, answer: str, at: datetime) -> None:
    found.state, found.decided_by, found.decided_at, found.answer = state, by, at, answer.strip()[:LONGEST_WHY]
    found.save(update_fields=["state", "decided_by", "decided_at", "answer", "version"])


def _locked(waiting: PolicyProposal) -> PolicyProposal:
    """Return the proposal as it is now, locked. Raises Conflict when it was answered: by whom, and when."""
    PolicyProposal.objects.select_for_update(no_key=True).get(pk=waiting.pk)
    found = proposal(waiting.pk)
    if not found.is_waiting:
        assert found.decided_by is not None
        assert found.decided_at is not None
        what = found.get_state_display().lower()
        raise Conflict(f"{found.decided_by.display_name} has {what} this at {found.decided_at:%H:%M on %d %B %Y} UTC.")
    return found


def _record(event: str, found: PolicyProposal, data: dict[str, object], *, actor: Actor) -> None:
    subjects = [Subject("policy", found.slug), Subject("person", str(found.proposed_by.ref))]
    record(event, actor=actor, subjects=subjects, data={"proposal": found.pk, **data})
