"""Who may ask for access in the name of somebody else."""

from __future__ import annotations

from governance.policy.facts import PersonFacts


def may_ask_for(requester: PersonFacts, person: PersonFacts, *, owns_it: bool, is_security: bool) -> bool:
    """Tell whether `requester` may ask for something that `person` is to get.

    Oneself, one's reports, and anybody for who owns the application or administers security. Whoever asks never
    decides, so that asking for others gives no power over the answer.
    """
    return requester.id == person.id or person.manager_id == requester.id or owns_it or is_security
