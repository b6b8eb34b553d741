"""The weights of risk: what is in force, and how they change, which takes two people who administer security."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import transaction

from governance.catalog import events
from governance.catalog.models import RiskProposal, RiskProposalState, RiskWeights
from governance.catalog.weights import STANDARD, Weights, check, weights_of
from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, Reason, Refused
from governance.identity.models import Person
from governance.identity.queries import security_admins
from governance.ledger.recording import Subject, record

SHORTEST_WHY = 10
LONGEST_WHY = 500


def weights_in_force() -> Weights:
    """Return the weights that count now; those that are shipped while nobody decided otherwise. One statement."""
    latest = RiskWeights.objects.order_by("-number").first()
    return weights_of(latest.weights, latest.number) if latest else STANDARD


def versions() -> list[RiskWeights]:
    """Return all versions of the weights, the latest first."""
    return list(RiskWeights.objects.select_related("proposal__proposed_by", "proposal__decided_by").order_by("-number"))


def waiting_proposals() -> list[RiskProposal]:
    """Return what waits for a second person, the oldest first."""
    waiting = RiskProposal.objects.filter(state=RiskProposalState.WAITING).select_related("proposed_by")
    return list(waiting.order_by("proposed_at", "pk"))


@transaction.atomic
def propose(said: dict[str, Any], *, why: str, proposer: Person, actor: Actor) -> RiskProposal:
    """Return a proposal of other weights, which a second person decides.

    Raises Invalid naming each field that is wrong, and when nothing would change.
    """
    wanted = check(said)
    current = weights_in_force()
    if wanted.as_json() == current.as_json():
        raise Invalid({"": "Nothing would change."})
    if not SHORTEST_WHY <= len(why.strip()) <= LONGEST_WHY:
        raise Invalid({"why": f"Say why in {SHORTEST_WHY} to {LONGEST_WHY} characters."})
    proposal = RiskProposal.objects.create(
        based_on=current.version,
        weights=wanted.as_json(),
        why=why.strip(),
        proposed_by=proposer,
        proposed_at=now(),
    )
    record(
        events.RISK_WEIGHTS_PROPOSED,
        actor=actor,
        subjects=[_subject(proposal)],
        data={"based_on": current.version, "changes": changes(current, wanted), "why": proposal.why},
    )
    return proposal


@transaction.atomic
def approve(proposal: RiskProposal, *, approver: Person, actor: Actor) -> RiskWeights:
    """Return the new version, in force from now on for what is asked from now on.

    Raises Conflict when it does not wait any more or other weights came into force since it was made, and Refused with
    every reason why this person may not.
    """
    at = now()
    proposal = _locked(proposal)
    if reasons := list(_who(proposal, approver)):
        raise Refused(reasons)
    current = weights_in_force()
    if proposal.based_on != current.version:
        raise Conflict(f"Version {current.version} came into force since this was proposed. Propose it anew.")
    _settle(proposal, RiskProposalState.APPROVED, approver, "", at)
    version = RiskWeights.objects.create(
        number=current.version + 1, weights=proposal.weights, proposal=proposal, effective_at=at
    )
    said = {"version": version.number, "changes": changes(current, weights_of(version.weights, version.number))}
    record(events.RISK_WEIGHTS_CHANGED, actor=actor, subjects=[_subject(proposal)], data=said)
    return version


@transaction.atomic
def decline(proposal: RiskProposal, *, approver: Person, reason: str, actor: Actor) -> RiskProposal:
    """Decline a proposal with a reason. Raises as `approve` does."""
    proposal = _locked(proposal)
    reasons = list(_who(proposal, approver))
    if not SHORTEST_WHY <= len(reason.strip()) <= LONGEST_WHY:
        reasons.append(Reason("needs_reason", "Say in a sentence why you decline. They will read it.", "reason"))
    if reasons:
        raise Refused(reasons)
    _settle(proposal, RiskProposalState.DECLINED, approver, reason.strip(), now())
    record(events.RISK_WEIGHTS_DECLINED, actor=actor, subjects=[_subject(proposal)], data={"reason": reason.strip()})
    return proposal


@transaction.atomic
def withdraw(proposal: RiskProposal, *, proposer: Person, actor: Actor) -> RiskProposal:
    """Take back one's own proposal. Raises Conflict when it does not wait and Refused for somebody else's."""
    proposal = _locked(proposal)
    if proposal.proposed_by_id != proposer.pk:
        raise Refused([Reason("not_yours", "Only who proposed it can take it back.")])
    _settle(proposal, RiskProposalState.WITHDRAWN, proposer, "", now())
    record(events.RISK_WEIGHTS_WITHDRAWN, actor=actor, subjects=[_subject(proposal)])
    return proposal


def changes(before: Weights, after: Weights) -> dict[str, list[int]]:
    """Return what differs: name → before and after."""
    old, new = before.as_json(), after.as_json()
    return {name: [old[name], new[name]] for name in old if old[name] != new[name]}


def _who(proposal: RiskProposal, approver: Person) -> Iterator[Reason]:
    if approver.pk == proposal.proposed_by_id:
        yield Reason("own_proposal", "A second person decides what you proposed.")
    if not security_admins().filter(pk=approver.pk).exists():
        yield Reason("not_security", "Only who administers security decides this.")


def _locked(proposal: RiskProposal) -> RiskProposal:
    """Return the proposal as it is now, all of them locked one after another: two never come into force at once."""
    locked = RiskProposal.objects.select_for_update(no_key=True, of=("self",)).select_related("proposed_by")
    everything = {one.pk: one for one in locked.filter(state=RiskProposalState.WAITING).order_by("pk")}
    if proposal.pk not in everything:
        known = RiskProposal.objects.select_related("decided_by").get(pk=proposal.pk)
        who = known.decided_by.display_name if known.decided_by else "Somebody"
        when = f"{known.decided_at:%H:%M on %d %B %Y} UTC" if known.decided_at else ""
        raise Conflict(f"{who} settled this at {when}: {known.get_state_display().lower()}.")
    return everything[proposal.pk]


def _settle(proposal: RiskProposal, state: str, by: Person, reason: str, at: datetime) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at, proposal.decision_reason = state, by, at, reason
    proposal.save(update_fields=["state", "decided_by", "decided_at", "decision_reason"])


def _subject(proposal: RiskProposal) -> Subject:
    return Subject("risk_proposal", str(proposal.pk))
