"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.ledger.governing import govern
from governance.privacy.models import Erasure, LegalHold, RetentionProposal, RetentionRule

govern(RetentionRule, public=["set_by_ref"], personal=["why"])
govern(RetentionProposal, public=["proposed_by_ref", "decided_by_ref"], personal=["why"])
govern(
    Erasure,
    public=["state", "asked_by_ref"],
    personal=["ground", "duty", "places"],
    volatile=["hindered_by"],
)
govern(
    LegalHold,
    public=["people", "applications", "placed_by_ref", "release_proposed_by_ref", "released_by_ref"],
    personal=["name", "reason", "release_reason"],
)
