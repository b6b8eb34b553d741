"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.access.models import (
    Absence,
    AccessRequest,
    Approval,
    BreakGlass,
    BreakGlassReview,
    CalledOff,
    EndQuestion,
    FormerBelief,
    Grant,
    GrantRevision,
    KeptGrant,
    ProposedWith,
    ReplayRun,
    RequestSet,
    RuleRun,
    RuleSuggestion,
    Turn,
    Withheld,
)
from governance.ledger.governing import govern, leave_out

govern(RequestSet, person="person_id", public=["correlation_id"], personal=["reason"])
govern(
    AccessRequest,
    person="person_id",
    public=["purpose", "ticket", "state", "closed_because", "correlation_id"],
    personal=["reason", "verdict"],
    volatile=["reminded_at"],
)
govern(Approval, person="approver_id", public=["asked"], personal=["reason", "facts"])
govern(Turn, person="by_id", public=["kind"], personal=["text", "facts"])
govern(Absence, person="person_id", personal=["reason"])
govern(Grant, public=["cause", "end_cause", "correlation_id"])
govern(GrantRevision, public=["change", "actor_kind", "actor_ref", "correlation_id"])
govern(KeptGrant)
govern(Withheld, public=["correlation_id"])
govern(CalledOff, public=["correlation_id"], personal=["reasons"])
govern(EndQuestion, public=["correlation_id"], personal=["reason"])
govern(BreakGlass, person="person_id", public=["correlation_id"], personal=["reason", "duties"])
govern(BreakGlassReview, person="reviewer_id", public=["correlation_id"], personal=["done", "follow_up"])

leave_out(FormerBelief, because="derived by a trigger from governed revisions, and insert-only")
leave_out(RuleRun, because="how far a run came; each grant that it starts or ends is captured")
leave_out(RuleSuggestion, because="counted anew from governed rows every day")
leave_out(ReplayRun, because="arithmetic about governed requests, and nobody's name; it can be asked for again")
leave_out(ProposedWith, because="which arithmetic stood beside a proposal; the proposal itself is captured")
