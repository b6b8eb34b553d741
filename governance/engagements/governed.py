"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.engagements.models import (
    AuditRequest,
    AuditSample,
    Engagement,
    EngagementBundle,
    Guest,
    Message,
    Population,
)
from governance.ledger.governing import govern

govern(Engagement, public=["framework", "zone", "applications", "opened_by_ref"], personal=["name"])
govern(Guest, person="person_id", public=["invited_by_ref"], personal=["name", "email", "token_digest"])
govern(AuditRequest, public=["code", "report", "state", "asked_by_ref"], personal=["wording"])
govern(Population, public=["report", "sha256", "taken_by_ref"])
govern(AuditSample, public=["sha256", "taken_by_ref"], personal=["seed"])
govern(Message, person="by_id", public=["kind"], personal=["text"])
govern(EngagementBundle)
