"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.catalog.models import (
    AccessPolicy,
    AccessPolicyVersion,
    Application,
    ApplicationOwner,
    ApplicationRevision,
    BirthrightRule,
    BirthrightRuleVersion,
    Entitlement,
    EntitlementRevision,
    Package,
    PackageVersion,
    PolicyProposal,
    RiskProposal,
    RiskWeights,
    RuleCallOff,
    SodException,
    SodMember,
    SodRule,
    SodRuleVersion,
)
from governance.ledger.governing import govern

govern(
    Application,
    public=["slug", "name", "category", "catalogue_id", "icon", "data_classes"],
    personal=["description"],
)
govern(ApplicationOwner)
govern(ApplicationRevision, public=["name", "data_classes", "change", "correlation_id"])
govern(
    Entitlement,
    public=["slug", "name", "kind", "target_ref", "data_classes"],
    personal=["sentence"],
)
govern(EntitlementRevision, public=["name", "data_classes", "change", "correlation_id"], personal=["sentence"])
govern(AccessPolicy, public=["slug", "name"])
govern(
    AccessPolicyVersion,
    public=["created_by_ref", "purposes", "ticket_pattern", "extending", "at_end"],
    # Conditions may name a person; the stages may too.
    personal=["may_request", "auto_deny", "auto_approve", "may_break_glass", "stages", "break_glass_reviewer"],
)
govern(PolicyProposal, public=["slug", "name", "state"], personal=["terms", "why", "answer"])
govern(BirthrightRule, public=["slug", "name"])
govern(BirthrightRuleVersion, public=["created_by_ref", "effect"], personal=["condition", "except_condition"])
govern(BirthrightRuleVersion.entitlements.through)
govern(RuleCallOff, public=["by_ref", "correlation_id"])
govern(SodRule, public=["slug", "name"])
govern(SodRuleVersion, public=["created_by_ref", "name", "effect"], personal=["why"])
govern(SodMember, public=["side"])
govern(SodException, person="person_id", personal=["reason"])
govern(Package, public=["slug"])
govern(PackageVersion, public=["created_by_ref", "name"], personal=["sentence"])
govern(PackageVersion.entitlements.through)
govern(RiskProposal, public=["state"], personal=["weights", "why", "decision_reason"])
govern(RiskWeights, personal=["weights"])
