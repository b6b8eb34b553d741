"""Changing policies as people do it: looked at first, proposed by one, decided by another.

The doors call these. Nothing else than this and the first set-up writes a version of a policy.
"""

from __future__ import annotations

from django.db import transaction

from governance.access import replay_runs
from governance.access.preview import refuse_undecidable
from governance.catalog import policy_proposals
from governance.catalog.models import PolicyProposal
from governance.catalog.policy_terms import PolicyTerms, terms_from_json
from governance.core.actor import Actor
from governance.identity.models import Person


@transaction.atomic
def propose(
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
    """Return a proposal that waits for a second person; see `policy_proposals.open_proposal`.

    How the last 90 days would have gone under it is kept with it.

    Raises Refused naming the pairs of person and role that nobody could decide about, too.
    """
    written = policy_proposals.open_proposal(
        name, terms, slug=slug, base_number=base_number, why=why, proposed_by=proposed_by, alone=alone, actor=actor
    )
    refuse_undecidable(terms, written.slug)
    replay_runs.keep_with(written, person=proposed_by)
    return written


@transaction.atomic
def approve(proposal: PolicyProposal, *, decided_by: Person, answer: str = "", actor: Actor) -> PolicyProposal:
    """Put a proposal in force. Who could decide is looked at again: people left and moved since.

    Raises Refused as `propose`, and as `policy_proposals.approve_proposal`.
    """
    approved = policy_proposals.approve_proposal(proposal, decided_by=decided_by, answer=answer, actor=actor)
    refuse_undecidable(terms_from_json(approved.terms), approved.slug)
    return approved


def decline(proposal: PolicyProposal, *, decided_by: Person, answer: str, actor: Actor) -> PolicyProposal:
    """Say no to a proposal, with the reason."""
    return policy_proposals.decline_proposal(proposal, decided_by=decided_by, answer=answer, actor=actor)


def withdraw(proposal: PolicyProposal, *, person: Person, actor: Actor) -> PolicyProposal:
    """Take back one's own proposal."""
    return policy_proposals.withdraw_proposal(proposal, person=person, actor=actor)
