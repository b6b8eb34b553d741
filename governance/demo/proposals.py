"""A change of a policy that waits at the demo company: one administrator proposed it, another decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from governance.catalog import events
from governance.catalog.models import PolicyProposal
from governance.catalog.policy_terms import terms_of
from governance.demo import staff
from governance.demo.people import Company
from governance.demo.shelf import Shelf
from governance.demo.world import World
from governance.ledger.recording import Subject

_DAYS_AGO = 1.0
_WHY = "Incidents with patient data are over within two days; nobody needs it for two weeks."


def propose(world: World, company: Company, shelf: Shelf) -> None:
    """Write the proposal. After everything that draws by chance: what else there is is the same as without."""
    proposer = company[staff.OTHER_ADMINS[0]]
    at, actor = world.workday(_DAYS_AGO), world.by(proposer.person)
    version = next(offer.version_at(at) for offer in shelf if offer.role.policy == "sensitive")
    terms = replace(
        terms_of(version),
        max_duration=timedelta(days=2),
        allows_open_end=False,
        never_automatic_from=50,
    )
    row = world.add(
        PolicyProposal(
            slug=version.policy.slug,
            name=version.policy.name,
            base=version,
            terms=terms.as_json(),
            why=_WHY,
            proposed_by=proposer.person,
            proposed_at=at,
        )
    )
    world.record(
        events.POLICY_PROPOSED,
        Subject("policy", row.slug),
        proposer.subject,
        actor=actor,
        at=at,
        data={"proposal": row.pk, "base": version.number, "alone": False},
    )
